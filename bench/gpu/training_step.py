"""BERT masked-LM training steps in PyTorch, as the peer of core-rs/examples/gpu_rate.rs; not used by the product.

The best that we know how to ask of PyTorch: BertForMaskedLM in bf16 autocast, SDPA, head on masked rows only, fused
AdamW, torch.compile; sequences are full, so there is no padding that packing would save. Steps are timed in rounds, and
the device is waited for at the end of each, as in gpu_rate. Prints one JSON line.
usage: training_step.py base|small|tiny LENGTH SEQUENCES STEPS PEAK_TFLOPS [compiled|eager] [cpu]
`tiny` and `cpu` are there to try this script on a machine without a GPU.
"""

import json
import sys
import time

import torch
from transformers import BertConfig, BertForMaskedLM

VOCABULARY = 30528
ROUNDS, WARM_UP = 5, 5
SIZES = {"base": (12, 768), "small": (4, 512), "tiny": (2, 128)}


def main():
    name, length, sequences, steps = sys.argv[1], *map(int, sys.argv[2:5])
    peak = float(sys.argv[5]) * 1e12
    eager = "eager" in sys.argv
    device = "cpu" if "cpu" in sys.argv else "cuda"
    wait = (lambda: None) if device == "cpu" else torch.cuda.synchronize
    layers, hidden = SIZES[name]
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden,
        attn_implementation="sdpa",
    )
    model = BertForMaskedLM(config).to(device).train()
    decay, plain = [], []
    for parameter, tensor in model.named_parameters():
        (plain if parameter.endswith("bias") or "LayerNorm" in parameter else decay).append(tensor)
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, fused=True)
    tokens = length * sequences
    ids = torch.randint(5, VOCABULARY, (sequences, length), device=device)
    # The same number of masked tokens in each step, so that compiled shapes hold: three of twenty.
    rows = (torch.arange(tokens, device=device) % 20 < 3).nonzero().squeeze(1)
    labels = ids.view(-1)[rows]

    def loss_of():
        with torch.autocast(device, dtype=torch.bfloat16):
            states = model.bert(input_ids=ids).last_hidden_state
            logits = model.cls(states.view(tokens, hidden)[rows])
        return torch.nn.functional.cross_entropy(logits.float(), labels)

    forward = loss_of if eager else torch.compile(loss_of)

    def run(count):
        for _ in range(count):
            loss = forward()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        wait()
        return loss.item()

    run(WARM_UP)
    milliseconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run(steps)
        milliseconds.append((time.perf_counter() - start) * 1e3 / steps)
    milliseconds.sort()
    median = milliseconds[ROUNDS // 2]
    rate = tokens / median * 1e3
    head = 6 * (hidden * VOCABULARY + hidden**2) * 0.15
    flop = 72 * layers * hidden**2 + 12 * layers * hidden * length + head
    print(
        json.dumps(
            {
                "engine": f"torch {torch.__version__}, " + ("eager" if eager else "compiled"),
                "gpu": "none" if device == "cpu" else torch.cuda.get_device_name(),
                "layers": layers,
                "hidden_size": hidden,
                "sequence_length": length,
                "tokens": tokens,
                "ms": milliseconds,
                "median_ms": median,
                "tokens_per_second": rate,
                "flop_per_token": flop,
                "mfu": rate * flop / peak,
                "memory_bytes": None if device == "cpu" else torch.cuda.max_memory_allocated(),
            }
        )
    )


main()
