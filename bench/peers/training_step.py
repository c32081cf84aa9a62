"""One BERT masked-LM training step in PyTorch, as the peer of bench/training_step.ts; not used by the product.

Speaks lines of JSON: {"size": {...}, "variant": "huggingface" | "tuned", "dtype": "f32" | "bf16"} builds a model and
answers {"ready": true}; {"steps": n} runs n steps and answers {"ms": [...], "loss": x}; end of input ends it.

`huggingface` is BertForMaskedLM as it comes: logits for every token, torch.optim.AdamW as Trainer makes it (fused).
`tuned` runs the head on masked rows only. Both: forward, backward, clip 1.0, AdamW without decay on biases and
LayerNorm, dropout 0.1, random ids, 15% masked. Memory is tuned by GLIBC_TUNABLES that bench/training_step.ts sets.
"""

import json
import resource
import sys
import time

import torch
from transformers import BertConfig, BertForMaskedLM


def build(size):
    config = BertConfig(
        vocab_size=size["vocab_size"],
        hidden_size=size["hidden_size"],
        num_hidden_layers=size["num_hidden_layers"],
        num_attention_heads=size["num_attention_heads"],
        intermediate_size=size["intermediate_size"],
        attn_implementation="sdpa",
    )
    model = BertForMaskedLM(config).train()
    decay, plain = [], []
    for name, parameter in model.named_parameters():
        (plain if name.endswith("bias") or "LayerNorm" in name else decay).append(parameter)
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, lr=1e-4, fused=True)


def data(size):
    generator = torch.Generator().manual_seed(12345)
    shape = (size["batch"], size["sequence_length"])
    ids = torch.randint(5, size["vocab_size"], shape, generator=generator)
    chosen = torch.rand(shape, generator=generator) < 0.15
    labels = torch.where(chosen, ids, torch.tensor(-100))
    return torch.where(chosen, torch.tensor(4), ids), labels


def step(model, optimizer, ids, labels, variant, dtype):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
        if variant == "huggingface":
            loss = model(input_ids=ids, labels=labels).loss
        else:
            hidden = model.bert(input_ids=ids).last_hidden_state
            rows = labels != -100
            logits = model.cls(hidden[rows])
            loss = torch.nn.functional.cross_entropy(logits.float(), labels[rows])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    state = None
    for line in sys.stdin:
        request = json.loads(line)
        if "size" in request:
            model, optimizer = build(request["size"])
            state = (model, optimizer, *data(request["size"]), request["variant"], request["dtype"])
            print(json.dumps({"ready": True, "torch": torch.__version__}), flush=True)
            continue
        times = []
        for _ in range(request["steps"]):
            start = time.perf_counter()
            loss = step(*state)
            value = loss.item()
            times.append((time.perf_counter() - start) * 1e3)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"ms": times, "loss": value, "peak_mb": peak_mb}), flush=True)


main()
