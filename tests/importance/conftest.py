"""Small random encoders of four families, saved as folders; none of their weights mean anything."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from kgcorpus.importance.encoder import Encoder, load_encoder

TEXTS = [
    "Marie Curie was born in Warsaw and worked in Paris.",
    "パリはフランスの首都です。東京 is the capital of Japan.",
    "Việt Nam và Hà Nội; München liegt in Bayern, Straße.",
    "서울은 대한민국의 수도이다. 中国的首都是北京。",
    "The Nobel Prize in Physics 1903 went to Becquerel, Pierre Curie and Marie Curie.",
]
FAMILIES = ["bert", "distilbert", "roberta", "xlm-roberta"]


def _bert_tokenizer(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=False)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tok.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=special))
    tok.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _angled(tok: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        sep_token="</s>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


_ANGLED = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _roberta_tokenizer(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=size, special_tokens=_ANGLED, initial_alphabet=alphabet)
    )
    tok.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return _angled(tok)


def _xlm_roberta_tokenizer(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.decoder = decoders.Metaspace()
    tok.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=size, special_tokens=_ANGLED, unk_token="<unk>")
    )
    tok.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return _angled(tok)


def _save(
    family: str, folder: Path, *, positions: int = 64, texts: Sequence[str] = TEXTS, size: int = 320
) -> Path:
    """Save a random encoder whose states differ clearly between contexts."""
    torch.manual_seed(5)
    small: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
    }
    wide: dict[str, Any] = {"initializer_range": 0.3}
    model: PreTrainedModel
    if family == "bert":
        tok = _bert_tokenizer(texts, size)
        config = BertConfig(vocab_size=len(tok), max_position_embeddings=positions, **small, **wide)
        model = BertForMaskedLM(config)
    elif family == "distilbert":
        tok = _bert_tokenizer(texts, size)
        model = DistilBertModel(
            DistilBertConfig(
                vocab_size=len(tok),
                max_position_embeddings=positions,
                dim=32,
                n_layers=2,
                n_heads=2,
                hidden_dim=48,
                **wide,
            )
        )
    else:
        make = _roberta_tokenizer if family == "roberta" else _xlm_roberta_tokenizer
        tok = make(texts, size)
        angled: dict[str, Any] = {
            "vocab_size": len(tok),
            "max_position_embeddings": positions + 2,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        }
        if family == "roberta":
            model = RobertaForMaskedLM(RobertaConfig(**angled, **small, **wide))
        else:
            model = XLMRobertaModel(XLMRobertaConfig(**angled, **small, **wide))
    model.save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def save_encoder() -> Callable[..., Path]:
    """`save_encoder(family, folder, positions=64, texts=TEXTS, size=320)`; size: tokens of the vocabulary."""
    return _save


@pytest.fixture(scope="session", params=FAMILIES)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(_save(request.param, tmp_path_factory.mktemp("encoder") / request.param)))
