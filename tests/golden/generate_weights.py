"""Writes tests/golden/weights/: small files of torch.save in each of its forms with what they hold, and two small models in
such files with what transformers answers.

    python tests/golden/generate_weights.py
"""

import collections
import json
import pathlib

import torch
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertTokenizer, pipeline

OUT = pathlib.Path(__file__).parent / "weights"


def state_dict():
    """Tensors that lie in their storages in every way that a file can say."""
    torch.manual_seed(7)
    base = torch.randn(4, 6)
    wide = torch.randn(3, 4, 5, dtype=torch.float64)
    tensors = collections.OrderedDict(
        plain=torch.randn(2, 3),
        transposed=base.t(),
        part=base[1:3, ::2],  # of the same storage
        permuted=wide.permute(2, 0, 1),
        repeated=torch.randn(3, 1).expand(3, 4),
        half=torch.tensor([1.0, -2.0, 6e-8, 65504.0, 1 / 3], dtype=torch.float16),
        bfloat=torch.randn(2, 2).to(torch.bfloat16).t(),
        double=torch.tensor([1 / 3, 1e-300, -1e30], dtype=torch.float64),
        scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(torch.randn(3)),
        whole=torch.arange(4),
    )
    tensors._metadata = collections.OrderedDict({"": {"version": 1}})
    return tensors


def main():
    OUT.mkdir(exist_ok=True)
    tensors = state_dict()
    torch.save(tensors, OUT / "archive.bin")
    torch.save(tensors, OUT / "archive_protocol_4.bin", pickle_protocol=4)
    torch.save(tensors, OUT / "legacy.bin", _use_new_zipfile_serialization=False)
    expected = {
        name: {"shape": list(tensor.shape), "values": tensor.detach().float().flatten().tolist()}
        for name, tensor in tensors.items()
        if tensor.is_floating_point()
    }
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")

    torch.save({"epoch": 3, "model": dict(tensors)}, OUT / "training_checkpoint.bin")
    torch.save({"layer": torch.nn.Linear(2, 2)}, OUT / "module.bin")
    quantized = torch.quantize_per_tensor(torch.randn(4), 0.1, 0, torch.qint8)
    torch.save({"quantized": quantized}, OUT / "quantized.bin")
    masked_lm()
    regression()


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "e", "##a", "##b", "##c"]
LINES = ["a [MASK] c", "ab [MASK] [MASK]", "[MASK]"]
SIZES = dict(
    vocab_size=len(WORDS) + 3, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=10,
    max_position_embeddings=12, initializer_range=0.5,
)


def folder(name, model):
    """A model's folder without its weights, and the tokenizer that it has there."""
    place = OUT / name
    place.mkdir(exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(place)
    (place / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return place, BertTokenizer(str(place / "vocab.txt"))


def masked_lm():
    """In two shards, of which one is an archive and one a pickle, in two dtypes and under old names."""
    torch.manual_seed(8)
    model = BertForMaskedLM(BertConfig(**SIZES)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())
    place, tokenizer = folder("masked_lm", model)
    tied = ("cls.predictions.decoder.weight", "cls.predictions.bias")
    tensors = {k: v for k, v in model.state_dict().items() if k not in tied}
    tensors = {k.replace("LayerNorm.weight", "LayerNorm.gamma"): v for k, v in tensors.items()}
    names = list(tensors)
    parts = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    (first, ones), (second, others) = parts.items()
    torch.save({k: tensors[k].half() for k in ones}, place / first)
    torch.save({k: tensors[k].double().t().contiguous().t() if tensors[k].dim() == 2 else tensors[k] for k in others},
               place / second, _use_new_zipfile_serialization=False)
    index = {"metadata": {}, "weight_map": {k: part for part, names in parts.items() for k in names}}
    (place / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1) + "\n")
    answers = []
    for line in LINES:
        inputs = tokenizer(line, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits[0]
        rows = logits[inputs["input_ids"][0] == tokenizer.mask_token_id]
        answers.append(torch.softmax(rows, -1)[:, : len(WORDS)].tolist())
    (place / "expected.json").write_text(json.dumps({"words": WORDS, "lines": LINES, "probabilities": answers}) + "\n")


def regression():
    """Of two values."""
    torch.manual_seed(9)
    names = {"id2label": {0: "warmth", 1: "length"}, "label2id": {"warmth": 0, "length": 1}}
    model = BertForSequenceClassification(BertConfig(**SIZES, **names, problem_type="regression")).eval()
    place, tokenizer = folder("regression", model)
    torch.save(model.state_dict(), place / "pytorch_model.bin")
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    lines = ["a b c", "d", "cab ae"]
    answers = [{row["label"]: row["score"] for row in pipe([line])[0]} for line in lines]
    (place / "expected.json").write_text(json.dumps({"lines": lines, "values": answers}) + "\n")


main()
