"""One masked-LM training step of BERT, or ModernBERT, in PyTorch, as the peer of the scripts in bench/; not used by the product.

Speaks lines of JSON: {"size": {...}, "variant": ..., "dtype": "f32" | "bf16", "lengths": [...]} builds a model and answers
{"torch": version}; {"steps": n} runs n steps and answers {"ms": [...], "loss": x, "peak_mb": y, "cpu_ms": z}, z being processor time of all
threads together; end of input ends it.

`huggingface` is BertForMaskedLM as it comes: logits for every token, torch.optim.AdamW as Trainer makes it (fused).
`tuned` runs the head on masked rows only; `compiled` is that with encoder and head through torch.compile. `trainer` is
transformers' Trainer with a data set of these batches. All: forward, backward, clip 1.0, AdamW without decay on biases
and norms, dropout 0.1 (ModernBERT: as its configuration has it, none), random ids, 15% masked. Sequences of different lengths are padded to the longest and masked.
Memory is the process's VmHWM, and tuned by GLIBC_TUNABLES that the caller sets.
"""

import json
import sys
import tempfile
import time

import torch
import transformers

CLASSES = {"bert": "Bert", "modernbert": "ModernBert"}


def build(size):
    prefix = CLASSES[size.get("model_type", "bert")]
    config = getattr(transformers, prefix + "Config")(
        vocab_size=size["vocab_size"],
        hidden_size=size["hidden_size"],
        num_hidden_layers=size["num_hidden_layers"],
        num_attention_heads=size["num_attention_heads"],
        intermediate_size=size["intermediate_size"],
        attn_implementation="sdpa",
    )
    return getattr(transformers, prefix + "ForMaskedLM")(config).train()


def adamw(model):
    decay, plain = [], []
    for name, parameter in model.named_parameters():
        (plain if parameter.dim() == 1 else decay).append(parameter)
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-4, fused=True)


def data(size, lengths):
    """Input of a forward pass; without padding there is no mask, which is PyTorch's faster way."""
    generator = torch.Generator().manual_seed(12345)
    shape = (len(lengths), max(lengths))
    ids = torch.randint(5, size["vocab_size"], shape, generator=generator)
    real = torch.arange(shape[1])[None] < torch.tensor(lengths)[:, None]
    chosen = (torch.rand(shape, generator=generator) < 0.15) & real
    batch = {
        "input_ids": torch.where(real, torch.where(chosen, torch.tensor(4), ids), torch.tensor(0)),
        "labels": torch.where(chosen, ids, torch.tensor(-100)),
    }
    if not real.all():
        batch["attention_mask"] = real.long()
    return batch


def make_step(model, batch, variant, dtype):
    optimizer = adamw(model)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    rows = batch["labels"] != -100
    labels = batch["labels"][rows]
    if hasattr(model, "bert"):
        encoder, head = model.bert, model.cls
    else:
        encoder, head = model.model, torch.nn.Sequential(model.head, model.decoder)
    if variant == "compiled":
        encoder, head = torch.compile(encoder), torch.compile(head)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            if variant == "huggingface":
                loss = model(**batch).loss
            else:
                hidden = encoder(**inputs).last_hidden_state
                loss = torch.nn.functional.cross_entropy(head(hidden[rows]).float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        return loss.item()

    return step


def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def answer(times, loss, cpu_start):
    cpu_ms = (time.process_time() - cpu_start) * 1e3
    print(json.dumps({"ms": times, "loss": loss, "peak_mb": peak_mb(), "cpu_ms": cpu_ms}), flush=True)


def serve(step):
    for line in sys.stdin:
        times, cpu_start = [], time.process_time()
        for _ in range(json.loads(line)["steps"]):
            start = time.perf_counter()
            loss = step()
            times.append((time.perf_counter() - start) * 1e3)
        answer(times, loss, cpu_start)


def serve_trainer(model, batch, dtype):
    """Trainer owns the loop: it is asked for steps, and answers, between two of them."""
    from transformers import Trainer, TrainerCallback, TrainingArguments, default_data_collator

    class Turns(TrainerCallback):
        def __init__(self):
            self.left, self.times = 0, []

        def on_step_begin(self, args, state, control, **_):
            if self.left == 0:
                line = sys.stdin.readline()
                if not line:
                    sys.stdout.flush()
                    raise SystemExit
                self.left, self.times, self.start = json.loads(line)["steps"], [], time.perf_counter()
                self.cpu_start = time.process_time()

        def on_step_end(self, args, state, control, **_):
            now = time.perf_counter()
            self.times.append((now - self.start) * 1e3)
            self.start = now
            self.left -= 1
            if self.left == 0:
                answer(self.times, 0.0, self.cpu_start)

    count = len(batch["input_ids"])
    examples = [{name: tensor[i % count] for name, tensor in batch.items()} for i in range(1000 * count)]
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=count,
        max_steps=100_000,
        use_cpu=True,
        bf16=dtype == "bf16",
        learning_rate=1e-4,
        weight_decay=0.01,
        max_grad_norm=1.0,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(model, arguments, train_dataset=examples, data_collator=default_data_collator, callbacks=[Turns()])
    trainer.train()


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    request = json.loads(sys.stdin.readline())
    model, batch = build(request["size"]), data(request["size"], request["lengths"])
    variant, dtype = request["variant"], request["dtype"]
    print(json.dumps({"torch": torch.__version__}), flush=True)
    if variant == "trainer":
        serve_trainer(model, batch, dtype)
    else:
        serve(make_step(model, batch, variant, dtype))


main()
