"""Makes bert.safetensors and bert.json: what Hugging Face's BertForMaskedLM computes on a tiny model.

Read by core-rs/tests/parity_huggingface.rs. Run in a virtual environment with requirements.txt:
    python tests/golden/generate_bert.py
"""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM

HERE = Path(__file__).parent
LENGTHS = [11, 24, 3, 17]
LEARNING_RATE, WARMUP_FREE_STEPS = 3e-3, 10

torch.manual_seed(20)
config = BertConfig(
    vocab_size=61, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=24, type_vocab_size=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    initializer_range=0.15, attn_implementation="eager",
)
model = BertForMaskedLM(config).train()
with torch.no_grad():  # biases and LayerNorms away from their symmetric start
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))

longest = max(LENGTHS)
input_ids = torch.zeros(len(LENGTHS), longest, dtype=torch.long)
token_type_ids = torch.zeros_like(input_ids)
labels = torch.full_like(input_ids, -100)
attention_mask = torch.zeros_like(input_ids)
for b, length in enumerate(LENGTHS):
    input_ids[b, :length] = torch.randint(1, 61, (length,))
    token_type_ids[b, length // 2 : length] = 1
    attention_mask[b, :length] = 1
    masked = torch.arange(1, length, 4)
    labels[b, masked] = input_ids[b, masked]
    input_ids[b, masked] = 4

tensors = {}
for name, parameter in model.named_parameters():
    tensors[f"weight.{name}"] = parameter.detach().clone()

padded = dict(input_ids=input_ids, token_type_ids=token_type_ids, attention_mask=attention_mask, labels=labels)
output = model(**padded)
output.loss.backward()
rows = labels != -100
tensors["logits"] = output.logits[rows].detach().clone()
for name, parameter in model.named_parameters():
    tensors[f"gradient.{name}"] = parameter.grad.detach().clone()

decay = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
no_decay = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.01}, {"params": no_decay, "weight_decay": 0.0}],
    lr=LEARNING_RATE, betas=(0.9, 0.98), eps=1e-6,
)
losses, norms = [], []
for step in range(WARMUP_FREE_STEPS):
    optimizer.zero_grad()
    loss = model(**padded).loss
    loss.backward()
    norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
    optimizer.step()
    losses.append(float(loss))

packed = {
    "input_ids": [int(x) for b, l in enumerate(LENGTHS) for x in input_ids[b, :l]],
    "token_type_ids": [int(x) for b, l in enumerate(LENGTHS) for x in token_type_ids[b, :l]],
    "position_ids": [i for l in LENGTHS for i in range(l)],
    "cu_seqlens": [sum(LENGTHS[:b]) for b in range(len(LENGTHS) + 1)],
    "masked_positions": [],
    "labels": [],
}
for b, length in enumerate(LENGTHS):
    for i in range(length):
        if labels[b, i] != -100:
            packed["masked_positions"].append(packed["cu_seqlens"][b] + i)
            packed["labels"].append(int(labels[b, i]))

tensors = {k: v.contiguous() for k, v in tensors.items() if "decoder.weight" not in k and "decoder.bias" not in k}
save_file(tensors, HERE / "bert.safetensors")
golden = {
    "made_by": f"generate_bert.py, torch {torch.__version__}, transformers {transformers.__version__}",
    "config": {k: v for k, v in config.to_dict().items() if k in (
        "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size max_position_embeddings "
        "type_vocab_size hidden_dropout_prob attention_probs_dropout_prob layer_norm_eps initializer_range hidden_act "
        "pad_token_id").split()},
    "loss": losses[0], "losses": losses, "grad_norms": norms, "learning_rate": LEARNING_RATE, **packed,
}
(HERE / "bert.json").write_text(json.dumps(golden) + "\n")
print(golden["made_by"], len(losses), losses)
