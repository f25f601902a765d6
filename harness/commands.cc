#include "harness/command.h"

namespace tnb {

const std::vector<CommandEntry>& Commands() {
  static const std::vector<CommandEntry> commands = {
      {"run", "compress models, measure accuracy, memory, speed and training",
       "  tnbench run --method mpo+int8\n"
       "  tnbench run --method fp32,int8,svd:keep=0.6 --tasks hellaswag,boolq --data-dir DIR --limit 100\n"
       "  tnbench run --method int8 --tasks ppl.gptq:my.txt,ppl.llamacpp:my.txt --limit 20   (20 windows)\n"
       "  tnbench run --method int4:group=64 --model ./my-model --phases compress,speed\n"
       "  tnbench run --method int8 --tasks cnn_dailymail --data-dir DIR --apply-chat-template\n"
       "  tnbench run --method mpo+int8 --model llama2-7b --weights random --phases compress,speed --no-base",
       false, DeclareRun},
      {"eval", "accuracy only; or stored outputs scored again without the model",
       "  tnbench eval --method int8 --tasks hellaswag,boolq --data-dir DIR --limit 100\n"
       "  tnbench eval --rescore 3 --task-file my-gsm8k.json --data-dir DIR",
       false, DeclareEval},
      {"sweep", "many cells: model by model, resumable, within a budget of time",
       "  tnbench sweep recipes/sweeps/bits.json --dry-run\n"
       "  tnbench sweep recipes/sweeps/bits.json --max-hours 8 --limit 100\n"
       "  tnbench sweep --method svd:keep=0.4,svd:keep=0.6,svd:keep=0.8 --model smollm2-135m --tasks boolq "
       "--data-dir DIR",
       false, DeclareSweep},
      {"nightly", "a suite, compared with the nights before; exit code 1 on a regression",
       "  tnbench nightly examples/nightly/suite.json --db nightly.db --summary night.md --junit night.xml\n"
       "  tnbench nightly examples/nightly/suite.json --db nightly.db --no-run",
       false, DeclareNightly},
      {"claims", "what papers claim, beside what was measured",
       "  tnbench claims\n"
       "  tnbench claims compactifai --db results.db\n"
       "  tnbench claims compactifai --run --model smollm2-135m --limit 100 --data-dir DIR",
       false, DeclareClaims},
      {"bench", "the machine's limits, kernels and speed against them; no files needed",
       "  tnbench bench\n"
       "  tnbench bench --model llama3.2-1b --method bf16,int8,int4 -p 128,512 -n 32 -d 0,1024 -t 1,2\n"
       "  tnbench bench -p 0 -n 0 --kernels\n"
       "  tnbench bench --noise-floor -r 10   (what comparisons on this machine have to exceed)",
       false, DeclareBench},
      {"verify", "promises checked on this machine: deviations against their tolerances",
       "  tnbench verify invariance --model smollm2-135m --method fp32,int8,mpo+int8\n"
       "  tnbench verify invariance --model tinyllama-1.1b --weights random --method bf16\n"
       "  tnbench verify ising --plot magnetization.svg\n"
       "exit codes: 0 within the tolerances, 1 beyond, 2 usage",
       false, DeclareVerify},
      {"profile", "where compression hurts: one layer, kind of layers or block at a time",
       "  tnbench profile --method svd:keep=0.8,svd:keep=0.5 --drift-tokens 1024\n"
       "  tnbench profile --method mpo:chi=32,mpo:chi=64 --by block --blocks all --tasks hellaswag "
       "--limit 200 --data-dir DIR\n"
       "  tnbench profile --method svd:keep=0.6,svd:keep=0.3 --by kind --out keep.json --budget 0.6\n"
       "without --method: svd:keep=0.8, 0.5 and 0.2; without --tasks: divergence from the dense model",
       false, DeclareProfile},
      {"rerun", "a run again, from its row: reproduced, numerically equal or different",
       "  tnbench rerun 3\n"
       "  tnbench rerun 3 --phases compress,quality --data-dir DIR",
       false, DeclareRerun},
      {"merge", "other databases' runs into this one, without duplicates",
       "  tnbench merge laptop.db server.db --db all.db", false, DeclareMerge},
      {"report", "tables of what was measured",
       "  tnbench report --db results.db\n"
       "  tnbench report --model smollm2-135m --format csv > table.csv\n"
       "  tnbench report --pivot task --task hellaswag,boolq --since 2026-01-31\n"
       "  tnbench report --format latex > table.tex",
       false, DeclareReport},
      {"fetch", "models and datasets, from where their lists say",
       "  tnbench fetch smollm2-135m\n"
       "  tnbench fetch hellaswag arc_easy --data-dir DIR\n"
       "  HF_TOKEN=... tnbench fetch llama2-7b\n"
       "  tnbench fetch HuggingFaceTB/SmolLM2-360M",
       false, DeclareFetch},
      {"compare", "two runs, methods, databases or commits: differences with tests and verdicts",
       "  tnbench compare fp32 int8\n"
       "  tnbench compare 3 7 --only accuracy --margin 0.5\n"
       "  tnbench compare old.db:int8 new.db:int8 --fail-on-regression\n"
       "  tnbench compare commit:1a2b3c4 commit:5d6e7f8 --json\n"
       "  tnbench compare --measure int8 mpo+int8 --model smollm2-135m --rounds 3\n"
       "exit codes: 0 fine, 1 worse (with --fail-on-regression), 2 usage, 3 not comparable",
       false, DeclareCompare},
      {"list", "what is there: methods, models, tasks, datasets",
       "  tnbench list methods\n"
       "  tnbench list tasks --check my-task.json\n"
       "  tnbench list datasets --data-dir DIR",
       false, DeclareList},
      {"show", "one run in full, or one prompt of a task",
       "  tnbench show 3\n"
       "  tnbench show 3 --json\n"
       "  tnbench show task sample-trivia --doc 3\n"
       "  tnbench show task gsm8k --num-fewshot 2 --model ./my-model --data-dir DIR",
       false, DeclareShow},
      {"export", "rows as CSV or JSON lines, or the compressed model as a Hugging Face folder",
       "  tnbench export 3 --items > items.jsonl\n"
       "  tnbench export 3 --items --tasks boolq\n"
       "  tnbench export --table metrics --format csv > metrics.csv\n"
       "  tnbench export 3 --huggingface my-model --dtype bf16",
       false, DeclareExport},
      {"train", "a small model from the beginning, by a recipe",
       "  tnbench train recipes/picogpt-dense.json --data-dir DIR\n"
       "  tnbench train recipes/picogpt-mpo16.json --data-dir DIR --tokens 100000 --output try",
       false, DeclareTrain},
      {"worker", "one phase in this process, as the driver starts it (spec on standard input)",
       "  tnbench worker speed < spec.json", true, DeclareWorker},
  };
  return commands;
}

}  // namespace tnb
