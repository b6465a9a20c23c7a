"""Loads an adapter with PEFT and a merged checkpoint with transformers, and compares both with what `emloc eval --json` printed.

python3 check_peft.py BASE ADAPTER MERGED DATA EVAL_JSON
DATA has "prompt" and "completion" rows. Everything is computed in float32 on the CPU, with the tokenizer.json of BASE as it stands.
"""
import json
import sys

import torch
from jinja2 import Template
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

base_folder, adapter_folder, merged_folder, data_file, eval_file = sys.argv[1:6]
tokenizer = Tokenizer.from_file(f"{base_folder}/tokenizer.json")
template = Template(open(f"{base_folder}/chat_template.jinja").read())
expected = json.loads(open(eval_file).read())


def encode(text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def rows(limit):
    for line in open(data_file).read().splitlines()[:limit]:
        row = json.loads(line)
        user = [{"role": "user", "content": row["prompt"]}]
        whole = user + [{"role": "assistant", "content": row["completion"]}]
        prefix = encode(template.render(messages=user, add_generation_prompt=True))
        ids = encode(template.render(messages=whole, add_generation_prompt=False))
        start = next((i for i, (a, b) in enumerate(zip(prefix, ids)) if a != b), len(prefix))
        yield torch.tensor([ids]), start


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def score(model, data):
    nll, tokens, logits = 0.0, 0, []
    with torch.no_grad():
        for ids, start in data:
            out = model(ids).logits[0].double()
            nll += torch.nn.functional.cross_entropy(out[start - 1:-1], ids[0, start:], reduction="sum").item()
            tokens += ids.shape[1] - start
            logits.append(out)
    return nll / tokens, tokens, logits


data = list(rows(expected["rows"]))
peft_loss, tokens, peft_logits = score(PeftModel.from_pretrained(load(base_folder), adapter_folder), data)
merged_loss, _, merged_logits = score(load(merged_folder), data)
largest = max(logits.abs().max().item() for logits in peft_logits)
difference = max((a - b).abs().max().item() for a, b in zip(peft_logits, merged_logits)) / largest
print(json.dumps({
    "tokens": tokens, "emlocTokens": expected["tokens"], "peftLoss": peft_loss, "mergedLoss": merged_loss, "emlocLoss": expected["loss"],
    "largestLogitDifference": difference,
}))
assert tokens == expected["tokens"], "token counts differ"
assert abs(peft_loss - expected["loss"]) < 1e-2 * max(expected["loss"], 0.05), "PEFT's loss differs from emloc's"
assert difference < 2e-2, "logits of the merged checkpoint differ"
