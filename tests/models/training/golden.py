"""golden.py > golden.json: loss curves of transformers' LlamaForCausalLM trained by torch.optim.AdamW in fp64.

Weights and tokens follow formulas that trainer_test.cc computes too. Two trainings: "plain" (cross entropy) and
"distilled" (a teacher at temperature 2, weighted tokens, two documents a sequence, two micro-batches a step, weight decay,
clipping).
"""

import json
import math

import torch
import transformers

HIDDEN, INNER, BLOCKS, HEADS, KV, VOCABULARY, LENGTH, STEPS = 32, 48, 2, 4, 2, 61, 16, 6
torch.set_default_dtype(torch.float64)


def values(index, shape, norm=False):
    count = math.prod(shape)
    i = torch.arange(count)
    wave = torch.sin(0.7 * index + 0.37 * i + 0.013 * ((i * i) % 97))
    wave = 1 + 0.1 * wave if norm else wave * 1.2 / math.sqrt(shape[-1])
    return wave.float().double().reshape(shape)  # the engine's weights are fp32


def model(offset):
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS, num_key_value_heads=KV, head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-5,
        rope_theta=10000.0, tie_word_embeddings=True, attn_implementation="eager")
    made = transformers.LlamaForCausalLM(config).double()
    with torch.no_grad():
        made.model.embed_tokens.weight.copy_(values(offset, (VOCABULARY, HIDDEN)))
        for b, layer in enumerate(made.model.layers):
            parts = [layer.input_layernorm, layer.post_attention_layernorm, layer.self_attn.q_proj, layer.self_attn.k_proj,
                     layer.self_attn.v_proj, layer.self_attn.o_proj, layer.mlp.gate_proj, layer.mlp.up_proj,
                     layer.mlp.down_proj]
            for j, part in enumerate(parts):
                part.weight.copy_(values(offset + 1 + 9 * b + j, part.weight.shape, norm=j < 2))
        made.model.norm.weight.copy_(values(offset + 1 + 9 * BLOCKS, (HIDDEN,), norm=True))
    return made


def batch(step, sequences, documents):
    i, j = torch.arange(sequences).unsqueeze(1), torch.arange(LENGTH + 1).unsqueeze(0)
    tokens = (i * 7 + j * 13 + i * j * 5 + step * 3) % VOCABULARY
    if not documents:
        return tokens, torch.ones(sequences, LENGTH), torch.zeros(sequences, LENGTH, dtype=torch.long)
    weights = ((i + j[:, :LENGTH]) % 3) * 0.5
    return tokens, weights, (j[:, :LENGTH] >= 6 + i).long()


def logits(of, tokens, documents):
    causal = torch.ones(LENGTH, LENGTH).triu(1).bool()
    hidden = causal | (documents.unsqueeze(2) != documents.unsqueeze(1))
    mask = torch.zeros(hidden.shape).masked_fill(hidden, -math.inf).unsqueeze(1)
    return of(input_ids=tokens[:, :LENGTH], attention_mask=mask, position_ids=torch.arange(LENGTH).unsqueeze(0),
              use_cache=False).logits


def train(kd, temperature, clip, decay, documents, micro_batches):
    student, teacher = model(0), model(100)
    matrices = [p for p in student.parameters() if p.dim() > 1]
    norms = [p for p in student.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": decay}, {"params": norms, "weight_decay": 0.0}],
                                  betas=(0.9, 0.95), eps=1e-8)
    curve = []
    for step in range(STEPS):
        batches = [batch(step * micro_batches + m, 2 + m, documents) for m in range(micro_batches)]
        total = sum(weights.sum() for _, weights, _ in batches)
        optimizer.zero_grad()
        loss_sum = 0
        for tokens, weights, numbers in batches:
            z = logits(student, tokens, numbers)
            losses = torch.nn.functional.cross_entropy(z.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
            loss = (1 - kd) * (losses * weights.flatten()).sum() / total
            if kd > 0:
                with torch.no_grad():
                    p = torch.log_softmax(logits(teacher, tokens, numbers) / temperature, -1)
                q = torch.log_softmax(z / temperature, -1)
                kl = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1)
                loss = loss + kd * temperature ** 2 * (kl * weights).sum() / total
            loss.backward()
            loss_sum += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(student.parameters(), clip if clip > 0 else 1e9).item()
        rate = 1e-2 * ((step + 1) / 2 if step < 2 else 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 2) / (STEPS - 2))))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        curve.append({"loss": loss_sum, "gradient_norm": norm, "learning_rate": rate})
    return curve


print(json.dumps({"plain": train(0, 1, 0, 0.01, False, 1), "distilled": train(0.9, 2, 0.5, 0.1, True, 2)}, indent=1))
