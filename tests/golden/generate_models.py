"""Makes FAMILY.safetensors and FAMILY.json: what Hugging Face's classes compute on a tiny model, for each objective.

Read by core-candle/tests/parity_huggingface.rs. Run in a virtual environment with requirements.txt:
    python tests/golden/generate_models.py bert
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).parent
# A family: prefix of its classes; its left-to-right class and whether it has one for sentence pairs; the tensors that are
# tied, and those that are then not used; fields beside BERT's; what it calls BERT's fields, and fields of its own.
FAMILIES = {
    "bert": dict(prefix="Bert", causal="BertLMHeadModel", pairs=True, head="cls.predictions"),
    "megatron-bert": dict(prefix="MegatronBert", causal="MegatronBertForCausalLM", pairs=True, head="cls.predictions"),
    "roberta": dict(prefix="Roberta", head="lm_head", fields=dict(pad_token_id=1, type_vocab_size=1, max_position_embeddings=26)),
    "distilbert": dict(
        prefix="DistilBert", tied=("vocab_projector.weight",), unused=(), fields=dict(type_vocab_size=1),
        names=dict(hidden_size="dim", num_hidden_layers="n_layers", num_attention_heads="n_heads", intermediate_size="hidden_dim",
                   hidden_dropout_prob="dropout", attention_probs_dropout_prob="attention_dropout", hidden_act="activation",
                   type_vocab_size=None, layer_norm_eps=None),
        outside=dict(seq_classif_dropout=0.0),
    ),
    "electra": dict(prefix="Electra", tied=("generator_lm_head.weight",), unused=(), fields=dict(embedding_size=12)),
    # The first and the last layer see everything, the others four tokens on each side.
    "modernbert": dict(
        prefix="ModernBert", tied=("decoder.weight",), unused=(), fields=dict(num_hidden_layers=4, type_vocab_size=1),
        names=dict(hidden_act="hidden_activation", layer_norm_eps="norm_eps", attention_probs_dropout_prob="attention_dropout",
                   type_vocab_size=None, hidden_dropout_prob=None),
        own=dict(global_attn_every_n_layers=3, local_attention=8, global_rope_theta=160000.0, local_rope_theta=10000.0,
                 embedding_dropout=0.0, mlp_dropout=0.0, initializer_cutoff_factor=2.0, norm_bias=False, attention_bias=False,
                 mlp_bias=False, classifier_bias=False, classifier_activation="gelu", classifier_pooling="cls"),
        outside=dict(bos_token_id=None, eos_token_id=None, cls_token_id=None, sep_token_id=None),
    ),
}
FAMILY = sys.argv[1]
ABOUT = FAMILIES[FAMILY]
of_class = lambda part: getattr(transformers, ABOUT["prefix"] + part)
Config, MaskedLM, SequenceClassification = map(of_class, ("Config", "ForMaskedLM", "ForSequenceClassification"))
LENGTHS = [11, 24, 3, 17]
LEARNING_RATE, STEPS = 3e-3, 10
NUM_LABELS = 3
ACTIVATIONS = ["gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu", "relu2", "silu", "swish"]

torch.manual_seed(20)
fields = dict(
    vocab_size=61, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=24, type_vocab_size=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    initializer_range=0.15, layer_norm_eps=1e-12, hidden_act="gelu", pad_token_id=0,
) | ABOUT.get("fields", {})
own, names = ABOUT.get("own", {}), ABOUT.get("names", {})
named = {names.get(field, field): value for field, value in fields.items() if names.get(field, field) is not None}
sizes = dict(**named, **own, **ABOUT.get("outside", {}), attn_implementation="eager")
config = Config(**sizes)
models = {"mlm": MaskedLM(config)}
if ABOUT.get("pairs"):
    models["mlm+nsp"] = of_class("ForPreTraining")(config)
if "causal" in ABOUT:
    models["clm"] = getattr(transformers, ABOUT["causal"])(Config(**sizes, is_decoder=True))
models["sequence_classification"] = SequenceClassification(Config(**sizes, num_labels=NUM_LABELS))
if FAMILY == "modernbert":
    models["sequence_classification-mean"] = SequenceClassification(
        Config(**sizes | {"classifier_pooling": "mean"}, num_labels=NUM_LABELS))
HEAD = ABOUT.get("head")
tied = {name: ABOUT.get("tied", (f"{HEAD}.decoder.weight", f"{HEAD}.decoder.bias")) for name in models}
weights = {}  # the objectives share them, so that a head is the only difference
for model in models.values():
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in weights:
                # Biases and LayerNorms away from their symmetric start.
                noise = 0.1 * torch.randn_like(parameter) if parameter.dim() == 1 else 0.0
                weights[name] = (parameter + noise).detach().clone()
            parameter.copy_(weights[name])

longest = max(LENGTHS)
blank = torch.zeros(len(LENGTHS), longest, dtype=torch.long)
input_ids, token_type_ids, attention_mask = blank + config.pad_token_id, blank.clone(), blank.clone()
masked_labels, next_labels = torch.full_like(blank, -100), torch.full_like(blank, -100)
for b, length in enumerate(LENGTHS):
    input_ids[b, :length] = torch.randint(config.pad_token_id + 1, 61, (length,))
    token_type_ids[b, length // 2 : length] = fields["type_vocab_size"] - 1
    attention_mask[b, :length] = 1
    masked = torch.arange(1, length, 4)
    masked_labels[b, masked] = input_ids[b, masked]
    input_ids[b, masked] = 4
    next_labels[b, :length] = input_ids[b, :length]  # transformers shifts them
next_sentence_label, classes = torch.tensor([1, 0, 0, 1]), torch.tensor([2, 0, 1, 2])
labels = {
    "mlm": dict(labels=masked_labels),
    "mlm+nsp": dict(labels=masked_labels, next_sentence_label=next_sentence_label),
    "clm": dict(labels=next_labels),
    "sequence_classification": dict(labels=classes),
    "sequence_classification-mean": dict(labels=classes),
}
rows = {"mlm": masked_labels != -100, "mlm+nsp": masked_labels != -100, "clm": attention_mask.bool()}
for b, length in enumerate(LENGTHS):
    rows["clm"][b, length - 1] = False  # nothing follows

# Last, so that the others are what they were before it: the same encoder with a decoder of its own.
untied = models["mlm-untied"] = MaskedLM(Config(**sizes, tie_word_embeddings=False))
tied["mlm-untied"] = ABOUT.get("unused", (f"{HEAD}.bias",))  # the decoder has its own
labels["mlm-untied"], rows["mlm-untied"] = labels["mlm"], rows["mlm"]
with torch.no_grad():
    for name, parameter in untied.named_parameters():
        if name in tied["mlm"]:
            weights[name] = (parameter + 0.1 * torch.randn_like(parameter)).detach().clone()
        parameter.copy_(weights[name])

# A class for some tokens; its classifier is that on sequences where both have one name.
tagger = models["token_classification"] = of_class("ForTokenClassification")(Config(**sizes, num_labels=NUM_LABELS))
tied["token_classification"] = ()
tags = torch.where(attention_mask.bool(), torch.arange(longest) % (NUM_LABELS + 1) - 1, -1)
labels["token_classification"] = dict(labels=torch.where(tags < 0, -100, tags))
rows["token_classification"] = tags >= 0
with torch.no_grad():
    for name, parameter in tagger.named_parameters():
        if name not in weights:
            weights[name] = (parameter + 0.1 * torch.randn_like(parameter)).detach().clone()
        parameter.copy_(weights[name])

# The classifier of texts with any number of labels, and with values.
yes_and_no = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
targets = {"multi_label_classification": yes_and_no, "regression": 3.0 * yes_and_no - torch.tensor([0.25, 1.0, 2.5])}
for name, values in targets.items():
    models[name] = SequenceClassification(Config(**sizes, num_labels=NUM_LABELS, problem_type=name))
    tied[name], labels[name] = tied["sequence_classification"], dict(labels=values)
    with torch.no_grad():
        for parameter_name, parameter in models[name].named_parameters():
            parameter.copy_(weights[parameter_name])

# The same model with other activations, in its own right where BERT is: its class has them all.
for act in ACTIVATIONS if FAMILY == "bert" else []:
    name = f"mlm:{act}"
    models[name] = MaskedLM(Config(**sizes | {"hidden_act": act}))
    tied[name], labels[name], rows[name] = tied["mlm"], labels["mlm"], rows["mlm"]
    with torch.no_grad():
        for parameter_name, parameter in models[name].named_parameters():
            parameter.copy_(weights[parameter_name])

start = [sum(LENGTHS[:b]) for b in range(len(LENGTHS) + 1)]
tensors = {f"weight.{name}": value for name, value in weights.items()}
golden = {
    "made_by": f"generate_models.py {FAMILY}, torch {torch.__version__}, transformers {transformers.__version__}",
    "config": {"model_type": FAMILY, **fields, "tie_word_embeddings": True} | ({FAMILY: own} if own else {}),
    "learning_rate": LEARNING_RATE,
    "input_ids": [int(x) for b, l in enumerate(LENGTHS) for x in input_ids[b, :l]],
    "token_type_ids": [int(x) for b, l in enumerate(LENGTHS) for x in token_type_ids[b, :l]],
    "position_ids": [i for l in LENGTHS for i in range(l)],
    "cu_seqlens": start,
    "objectives": {},
}
for objective, model in models.items():
    model.train()
    inputs = dict(input_ids=input_ids, attention_mask=attention_mask)
    if "type_vocab_size" in named:
        inputs["token_type_ids"] = token_type_ids
    output = model(**inputs, **labels[objective])
    output.loss.backward()
    positions = [(b, i) for b, l in enumerate(LENGTHS) for i in range(l) if objective in rows and rows[objective][b, i]]
    if positions:
        logits = output.prediction_logits if objective == "mlm+nsp" else output.logits
        tensors[f"{objective}.logits"] = torch.stack([logits[b, i] for b, i in positions]).detach()
    if objective == "mlm+nsp":
        tensors[f"{objective}.sequence_logits"] = output.seq_relationship_logits.detach().clone()
    if objective.startswith("sequence_classification") or objective in targets:
        tensors[f"{objective}.sequence_logits"] = output.logits.detach().clone()
    for name, parameter in model.named_parameters():
        if name not in tied[objective] and ":" not in objective:  # their norms say enough
            tensors[f"{objective}.gradient.{name}"] = parameter.grad.detach().clone()

    plain = lambda parameter: parameter.dim() == 1  # biases and norms
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in model.parameters() if not plain(p)], "weight_decay": 0.01},
         {"params": [p for p in model.parameters() if plain(p)], "weight_decay": 0.0}],
        lr=LEARNING_RATE, betas=(0.9, 0.98), eps=1e-6,
    )
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(**inputs, **labels[objective]).loss
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        optimizer.step()
        losses.append(float(loss))
    asked = labels[objective].get("labels")
    target = (lambda b, i: int(input_ids[b, i + 1])) if objective == "clm" else (lambda b, i: int(asked[b, i]))
    sequence_labels = {"mlm+nsp": next_sentence_label, "sequence_classification": classes}.get(objective.removesuffix("-mean"))
    golden["objectives"][objective] = {
        "losses": losses, "grad_norms": norms,
        "masked_positions": [start[b] + i for b, i in positions],
        "labels": [target(b, i) for b, i in positions],
        "sequence_labels": [] if sequence_labels is None else sequence_labels.tolist(),
    } | ({"sequence_targets": targets[objective].flatten().tolist()} if objective in targets else {})
    print(golden["made_by"], objective, losses)

save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / f"{FAMILY}.safetensors")
(HERE / f"{FAMILY}.json").write_text(json.dumps(golden) + "\n")
