"""Pretrains BERT or ModernBERT in PyTorch for a wall clock that began with the process; a peer of bench/time_to_quality.ts, not used by the product.

One argument, JSON: {"way": "trainer" | "tuned", "began": seconds since 1970, "seconds", "files", "tokenizer", "config",
"max_sequence_length", "batch_tokens", "learning_rate", "mlm_probability", "dropout", "bf16", "threads", "seed", "output"}.
Prints {"steps": n, "parameters": n, "torch": version, "transformers": version}.

`trainer` does what transformers' run_mlm.py does: tokenizes all lines first, joins them, cuts the ids into blocks without
padding, and gives them to Trainer with its collator; the head computes logits of every token. `tuned` tokenizes lines as
they are needed, masks on the way, runs the head on masked rows only, and has fused AdamW. Both: learning rate by wall
clock, 6% up and then down to zero; AdamW with betas 0.9 and 0.98, epsilon 1e-6, decay 0.01; gradients clipped at 1.
"""

import gzip
import json
import random
import sys
import time

import torch
import transformers
from transformers import BertConfig, BertForMaskedLM, ModernBertConfig, ModernBertForMaskedLM, PreTrainedTokenizerFast

WARMUP = 0.06
# Kept for saving the model.
SAVING_S = 1.0

request = json.loads(sys.argv[1])
deadline = request["began"] + request["seconds"] - SAVING_S
torch.set_num_threads(request["threads"])
torch.manual_seed(request["seed"])
tokenizer = PreTrainedTokenizerFast(
    tokenizer_file=request["tokenizer"] + "/tokenizer.json",
    unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
)
length, batch_size = request["max_sequence_length"], request["batch_tokens"] // request["max_sequence_length"]


def lines():
    for path in request["files"]:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
            yield from (line.strip() for line in file if line.strip())


def blocks(texts):
    """Ids of the texts, joined and cut; the rest is dropped, as run_mlm has it."""
    ids = [id for one in tokenizer(texts, return_attention_mask=False)["input_ids"] for id in one]
    whole = len(ids) // length * length
    return [ids[i : i + length] for i in range(0, whole, length)]


def model():
    config, dropout = request["config"], request["dropout"]
    if config["model_type"] == "modernbert":  # whose dropouts are 0
        special = {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
        special |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
        return ModernBertForMaskedLM(ModernBertConfig(**config, **special, attn_implementation="sdpa")).train()
    sizes = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    return BertForMaskedLM(BertConfig(**{**config, **sizes}, attn_implementation="sdpa")).train()


def logits_of(model, hidden):
    """The head's, of some rows of the encoder's output."""
    return model.decoder(model.head(hidden)) if hasattr(model, "decoder") else model.cls(hidden)


def optimizer_of(bert):
    decay, plain = [], []
    for name, parameter in bert.named_parameters():
        (plain if name.endswith("bias") or "norm" in name.lower() else decay).append(parameter)
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=request["learning_rate"], betas=(0.9, 0.98), eps=1e-6, fused=True)


class Clock:
    """Learning rate as a share of its peak."""

    def __init__(self):
        self.start = time.time()

    def __call__(self, _=None):
        done = (time.time() - self.start) / max(1e-3, deadline - self.start)
        return max(done, 1e-4) / WARMUP if done < WARMUP else max(0.0, (1 - done) / (1 - WARMUP))


def trainer():
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments

    class Ends(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = time.time() >= deadline

    texts = list(lines())
    examples = [{"input_ids": block} for i in range(0, len(texts), 1000) for block in blocks(texts[i : i + 1000])]
    bert = model()
    optimizer = optimizer_of(bert)
    arguments = TrainingArguments(
        output_dir=request["output"] + ".trainer", per_device_train_batch_size=batch_size, max_steps=10**8, use_cpu=True,
        bf16=request["bf16"], max_grad_norm=1.0, logging_strategy="no", save_strategy="no", report_to=[],
        disable_tqdm=True, seed=request["seed"], learning_rate=request["learning_rate"],
    )
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=request["mlm_probability"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, Clock())
    it = Trainer(bert, arguments, collator, examples, optimizers=(optimizer, schedule), callbacks=[Ends()])
    it.train()
    return bert, it.state.global_step


def batches():
    """Endless, of lines in random order."""
    texts, rng = list(lines()), random.Random(request["seed"])
    while True:
        rng.shuffle(texts)
        for i in range(0, len(texts), 5000):
            found = blocks(texts[i : i + 5000])
            rng.shuffle(found)
            for j in range(0, len(found) - batch_size + 1, batch_size):
                yield torch.tensor(found[j : j + batch_size])


def tuned():
    bert, step = model(), 0
    optimizer, clock = optimizer_of(bert), Clock()
    special = torch.tensor(tokenizer.all_special_ids)
    for ids in batches():
        if time.time() >= deadline:
            return bert, step
        rows = (torch.rand(ids.shape) < request["mlm_probability"]) & ~torch.isin(ids, special)
        labels, action = ids[rows], torch.rand(ids.shape)
        inputs = torch.where(rows & (action < 0.8), tokenizer.mask_token_id, ids)
        inputs = torch.where(rows & (action >= 0.9), torch.randint(len(special), len(tokenizer), ids.shape), inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=request["bf16"]):
            hidden = bert.base_model(input_ids=inputs).last_hidden_state
            loss = torch.nn.functional.cross_entropy(logits_of(bert, hidden[rows]).float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(bert.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = request["learning_rate"] * clock()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        step += 1
    raise AssertionError("the batches ended")


bert, steps = {"trainer": trainer, "tuned": tuned}[request["way"]]()
bert.save_pretrained(request["output"])
parameters = sum(parameter.numel() for parameter in bert.parameters())
print(json.dumps({"steps": steps, "parameters": parameters, "torch": torch.__version__, "transformers": transformers.__version__}))
