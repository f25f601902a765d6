"""Makes beam_golden.json: what generate() of Hugging Face transformers answers with beam search.

    python3 beam_golden.py > beam_golden.json     (transformers 5.23, torch 2.13)

The weights come from a formula that tests/models/engine/beam_test.cc repeats.
"""
import json

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY, HIDDEN, INNER, BLOCKS, HEADS, KV_HEADS = 40, 24, 40, 2, 4, 2


def weights(tensor, rows, cols):
    """The same numbers in [-1, 1) as Value() in beam_test.cc (the finalizer of MurmurHash3)."""
    with np.errstate(over="ignore"):
        h = np.arange(rows * cols, dtype=np.uint32) + np.uint32(tensor * 1000003)
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    values = h.astype(np.float64) / 2.0**31 - 1.0
    scale = 0.25 if cols == 1 else 2.2 / np.sqrt(cols)
    values = values * scale + (1.0 if cols == 1 else 0.0)
    return torch.tensor(values.astype(np.float32).reshape((rows,) if cols == 1 else (rows, cols)))


def build():
    config = LlamaConfig(vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=BLOCKS,
                         num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, max_position_embeddings=256,
                         rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=None, eos_token_id=0, pad_token_id=1)
    model = LlamaForCausalLM(config).eval()
    state, key = {}, KV_HEADS * HIDDEN // HEADS
    state["model.embed_tokens.weight"] = weights(1, VOCABULARY, HIDDEN)
    for i in range(BLOCKS):
        name, base = f"model.layers.{i}.", 10 * (i + 1)
        state[name + "input_layernorm.weight"] = weights(base, HIDDEN, 1)
        state[name + "post_attention_layernorm.weight"] = weights(base + 1, HIDDEN, 1)
        state[name + "self_attn.q_proj.weight"] = weights(base + 2, HIDDEN, HIDDEN)
        state[name + "self_attn.k_proj.weight"] = weights(base + 3, key, HIDDEN)
        state[name + "self_attn.v_proj.weight"] = weights(base + 4, key, HIDDEN)
        state[name + "self_attn.o_proj.weight"] = weights(base + 5, HIDDEN, HIDDEN)
        state[name + "mlp.gate_proj.weight"] = weights(base + 6, INNER, HIDDEN)
        state[name + "mlp.up_proj.weight"] = weights(base + 7, INNER, HIDDEN)
        state[name + "mlp.down_proj.weight"] = weights(base + 8, HIDDEN, INNER)
    state["model.norm.weight"] = weights(2, HIDDEN, 1)
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state)
    return model


def main():
    model = build()
    prompts = [[3, 1, 4], [2, 7, 18, 28, 18], [5], [9, 9, 9, 9], [30, 20, 10, 11], [38, 2, 17], [12, 33, 6, 21, 8, 14]]
    cases = []
    for ends in ([0, 7], [0, 3, 7, 12, 15, 19, 23, 27, 31, 35]):
        for beams in (1, 2, 4):
            for longest, least in ((12, 0), (20, 6), (24, 24)):
                for prompt in prompts:
                    with torch.no_grad():
                        out = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)),
                                             num_beams=beams, do_sample=False, max_new_tokens=longest,
                                             min_new_tokens=least, eos_token_id=ends, pad_token_id=1,
                                             **({"early_stopping": True} if beams > 1 else {}))
                    cases.append({"ends": ends, "beams": beams, "max": longest, "min": least, "prompt": prompt,
                                  "answer": out[0, len(prompt):].tolist()})
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


main()
