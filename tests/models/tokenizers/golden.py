"""Writes golden/*.json: what Hugging Face's `tokenizers` makes of difficult texts (needed only to change the texts).

Usage: python3 golden.py SMOLLM2.gguf   (pip install tokenizers gguf)

golden/tiny_*.json are tokenizer.json files with a few hundred tokens, trained on this file; golden/ids_*.json hold for each
tokenizer, by text, the ids with and without special tokens; golden/words.json holds for each pre-tokenizer, by text, its words.
"""
import json
import pathlib
import sys

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = pathlib.Path(__file__).parent / "golden"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"\p{N}{1,3}" + REST
QWEN2 = CONTRACTIONS + r"\p{N}" + REST

TEXTS = [
    "", " ", "  ", "   a", "a", "Hello, world!", " Hello  world   again    ", "\n", "\n\n", "\r\n", "line one\r\nline two\r\n\r\n  indented",
    "\t\ttabs\tand\n\n\nlines \n \n x", "trailing spaces   ", "1", "12345", "3.14159 and 1,000,000", "in 2024, 7th of 12", "x2y3z", "½ ² Ⅷ ௧௨ ٣٤",
    "I'm you're he'LL we'Ve it'S don'T I'D", "'s't're", "it’s “quoted” — dash…", "naïve café Ĉu ĝi?", "cafe\u0301 A\u030A o\u0323\u0302 o\u0302\u0323",
    "日本語のテキスト、漢字かな交じり。", "한국어 텍스트 \u1112\u1161\u11AB", "Привет, мир!", "مرحبا بالعالم", "हिन्दी पाठ", "👍🏽 👩‍👩‍👧 🇩🇪 😀😀", "\u200b\u200d\ufeffzero width",
    "a\u00a0b\u2003c\u3000d\u180ee\u0085f\u2028g", "\x00\x01\x02\x03 control \x1b[0m\x7f", "def f(x):\n    return x ** 2  # square\n", "https://example.com/a?b=c&d=%20#e",
    "!!!???...---===", "$100 €50 £7.50 100%", "<|im_start|>user\nHi<|im_end|>\n", "<s>text</s>", "a <mask> b<mask>c  <mask>\n d", "<tool> x<tool><tool> y",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "CamelCaseAndsnake_case-kebab", "▁literal mark▁", "ſ long 'ſ s", "Ω Å \u2126 \u212b", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U00020000\U0010ffff",
    "a" + " " * 70 + "b", " \n" * 5 + "end", "ﬁ ﬂ ligatures ǅ", "e\u0328\u0301\u0302 \u0344 \u0958 \u0374", "\u0301 starts with a mark",
]


def smollm2(path):
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, kinds) if kind == 3])
    return tokenizer


def tiny_byte_level(words, regex, nfc):
    tokenizer = Tokenizer(models.BPE(ignore_merges=not nfc))
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(regex), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(words, trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("</s>", normalized=False),
                                  AddedToken("<|im_start|>", normalized=False), AddedToken("<|im_end|>", normalized=False),
                                  AddedToken("<mask>", lstrip=True, rstrip=nfc, normalized=False)])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    if not nfc:
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])])
    return tokenizer


def tiny_spaces(words):
    """As LLaMA-2's conversion: no pre-tokenizer, marks for spaces, bytes for unknown characters."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(words, trainers.BpeTrainer(vocab_size=300, limit_alphabet=80, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % byte for byte in range(256)] + sorted(model["vocab"], key=model["vocab"].get)
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[tuple(m) for m in model["merges"]],
                                     unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ("<unk>", "<s>", "</s>")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def write(name, content):
    lines = json.dumps(content, ensure_ascii=True, separators=(",", ":")).replace('{"text"', '\n{"text"').replace("],[", "],\n[")
    (FOLDER / f"{name}.json").write_text(lines + "\n")


def main():
    words = pathlib.Path(__file__).read_text().splitlines()
    tokenizers = {"tiny_llama3": tiny_byte_level(words, LLAMA3, False), "tiny_qwen2": tiny_byte_level(words, QWEN2, True),
                  "tiny_spaces": tiny_spaces(words)}
    for name, tokenizer in tokenizers.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=True, separators=(",", ":")) + "\n")
    tokenizers["smollm2"] = smollm2(sys.argv[1])
    for name, tokenizer in tokenizers.items():
        ids = []
        for text in TEXTS:
            tokenizer.encode_special_tokens = True  # spelled-out special tokens are text
            plain = tokenizer.encode(text, add_special_tokens=False).ids
            tokenizer.encode_special_tokens = False
            ids.append({"text": text, "plain": plain, "special": tokenizer.encode(text, add_special_tokens=False).ids})
        write(f"ids_{name.removeprefix('tiny_')}", ids)
    splits = {"gpt2": pre_tokenizers.ByteLevel(add_prefix_space=False), "llama3": pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
              "qwen2": pre_tokenizers.Split(Regex(QWEN2), "isolated"),
              "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])}
    found = {name: [[text[a:b] for _, (a, b) in split.pre_tokenize_str(text)] for text in TEXTS] for name, split in splits.items()}
    write("words", {"texts": TEXTS, "words": found})


main()
