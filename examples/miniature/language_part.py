"""Teaching of the miniature language model: text about scenes whose cells are told as sums of words."""

from __future__ import annotations

import copy
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from language_text import Lesson, lesson, test_questions
from safetensors.torch import load_model, save_model
from tokenizer_part import ASSISTANT, END, USER, make_tokenizer
from torch import nn
from torch.nn import functional as F
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from vision_part import save_half

from vila2.model.miniature import grid_coordinates
from vila2.sources.world.scene_questions import KINDS
from vila2.sources.world.vocabulary import COLOURS, SHAPES, SIZES

CELLS = 36
TOLD_IMAGE = "told_image.safetensors"
_ANSWER_WEIGHT, _SHORT = 4.0, 6
_WORDS = {
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "size": tuple(SIZES),
    "letter": tuple("abcdefghijklmnopqrstuvwxyz"),
}
#: How often a told attribute is wrong or missing: the eye that will be put in this place errs, too.
_ERROR = {"shape": 0.03, "colour": 0.01, "size": 0.02, "letter": 0.02}


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons as tensors; T counts the trunk and all branches.

    The shapes are: cells [B, 144, features]; ids, labels, weights and positions [B, T]; mask [B, 1, T, T],
    boolean; first [B], the slot of the first image vector.
    """

    cells: torch.Tensor
    ids: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    first: list[int]


class ToldImage(nn.Module):
    """36 prefix vectors from told cells: sums of the language model's own word vectors, and their places.

    A vector averages the attributes of its four small cells. Letters keep their corner, since two letters
    share a vector. The place is the mean place of the small cells that show something. Its vectors are about
    as long as a word's: shorter ones drown in the sum of words.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, width: int) -> None:
        super().__init__()
        words = [word for group in _WORDS.values() for word in group]
        self.register_buffer("ids", torch.tensor([tokenizer.convert_tokens_to_ids(word) for word in words]))
        self.centre = nn.Parameter(torch.randn(width) * 0.02)
        self.corner = nn.Parameter(1 + 0.7 * torch.randn(4, width))
        waves = grid_coordinates(12, 12, 24).reshape(12, 12, 24)
        self.rows = nn.Parameter(waves[:, 0, :12] @ torch.randn(12, width) * 0.06)  # depth hangs on few rows
        self.columns = nn.Parameter(waves[0, :, 12:] @ torch.randn(12, width) * 0.04)

    def forward(self, cells: torch.Tensor, embedding: nn.Embedding) -> torch.Tensor:
        """[B, 144, features] to [B, 36, width]."""
        corners = cells.reshape(len(cells), 6, 2, 6, 2, -1)
        words = embedding(self.ids)
        plain = len(words) - len(_WORDS["letter"])
        cover = corners[..., : len(SHAPES)].sum(-1)
        attributes = corners[..., :plain].sum((2, 4)) / cover.sum((2, 4))[..., None].clamp(min=1)
        weight = (cover + 0.02) / (cover + 0.02).sum((2, 4), keepdim=True)
        place = torch.einsum("brick,rid->brcd", weight, self.rows.reshape(6, 2, -1))
        place = place + torch.einsum("brick,ckd->brcd", weight, self.columns.reshape(6, 2, -1))
        letters = torch.einsum(
            "brickd,ikd->brcd", corners[..., plain:-1] @ words[plain:], self.corner.reshape(2, 2, -1)
        )
        marks = corners[..., -1:].sum((2, 4)) * self.centre
        return (attributes @ words[:plain] + letters + marks + place).flatten(1, 2)


def told_cells(told: dict[str, np.ndarray], rng: np.random.Generator | None) -> np.ndarray:
    """[144, features] shares of every word and of the center mark.

    With ``rng`` some of them are wrong or missing.
    """
    parts = []
    for name in _WORDS:
        shares = told[name][:, 1:]
        if rng is not None:
            # An error holds for the whole object, as the eye's errors do.
            mapping = np.where(
                rng.random(shares.shape[1]) < _ERROR[name],
                rng.integers(0, shares.shape[1], shares.shape[1]),
                np.arange(shares.shape[1]),
            )
            swapped = np.zeros_like(shares)
            np.add.at(swapped.T, mapping, shares.T)
            shares = swapped * (0.8 + 0.4 * rng.random((len(shares), 1), dtype=np.float32))
            shares = shares * (rng.random((len(shares), 1)) > 0.04)
        parts.append(shares)
    return np.concatenate([*parts, told["centre"][:, 1:]], axis=1).astype(np.float32)


def assemble(lessons: list[Lesson], tokenizer: PreTrainedTokenizerFast, noise: bool) -> Batch:
    """Lay out lessons as trees: one trunk with the image, branches that do not see each other."""
    user, assistant, end = (tokenizer.convert_tokens_to_ids(token) for token in (USER, ASSISTANT, END))
    rows, first = [], []
    for one in lessons:
        trunk = [user] * one.chat + [0] * CELLS
        first.append(int(one.chat))
        ids, labels, weights = list(trunk), [-100] * len(trunk), [0.0] * len(trunk)
        positions, branch = list(range(len(trunk))), [0] * len(trunk)
        for number, (question, answer) in enumerate(one.branches, start=1):
            asked = (
                [*tokenizer.encode(question, add_special_tokens=False), end, assistant] if one.chat else []
            )
            said = [*tokenizer.encode(answer, add_special_tokens=False), end]
            ids += asked + said
            # The first word of a second plain text cannot be predicted: its branch has no token before it.
            labels += [-100] * len(asked) + (said if one.chat or number == 1 else [-100, *said[1:]])
            weights += [_ANSWER_WEIGHT if len(said) <= _SHORT else 1.0] * (len(asked) + len(said))
            positions += range(len(trunk), len(trunk) + len(asked) + len(said))
            branch += [number] * (len(asked) + len(said))
        rows.append((ids, labels, weights, positions, branch))
    longest = max(len(row[0]) for row in rows)
    padded = [np.array([row[part] + [fill] * (longest - len(row[part])) for row in rows])
              for part, fill in enumerate((0, -100, 0.0, 0, -1))]  # fmt: skip
    ids, labels, weights, positions, branch = (torch.from_numpy(array) for array in padded)
    mask = (branch[:, :, None] == branch[:, None, :]) | (branch[:, None, :] == 0)
    mask &= torch.ones(longest, longest, dtype=torch.bool).tril()
    rng = np.random.default_rng() if noise else None
    cells = torch.from_numpy(np.stack([told_cells(one.cells, rng) for one in lessons]))
    return Batch(cells, ids, labels, weights.float(), positions, mask[:, None], first)


def logits_of(model: LlamaForCausalLM, told: ToldImage, batch: Batch) -> torch.Tensor:
    """Next-token logits at the labelled positions, [labels, vocabulary]."""
    vectors = model.get_input_embeddings()(batch.ids)
    prefix = told(batch.cells, model.get_input_embeddings())
    rows = [
        torch.cat([v[:f], p, v[f + CELLS :]]) for v, p, f in zip(vectors, prefix, batch.first, strict=True)
    ]
    mask = torch.zeros(batch.mask.shape).masked_fill(~batch.mask, torch.finfo(torch.float32).min)
    hidden = model.model(inputs_embeds=torch.stack(rows), attention_mask=mask, position_ids=batch.positions,
                         use_cache=False).last_hidden_state  # fmt: skip
    return model.lm_head(hidden[:, :-1][batch.labels[:, 1:] != -100])


@torch.no_grad()
def exam(
    model: LlamaForCausalLM, told: ToldImage, tokenizer: PreTrainedTokenizerFast, count: int = 200
) -> dict[str, float]:
    """Share of answers right in every token, per kind, on told scenes of another seed without errors."""
    model.eval()
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for start in range(0, count, 20):
        papers = [test_questions(77, index, KINDS) for index in range(start, start + 20)]
        batch = assemble([paper for paper, _ in papers], tokenizer, noise=False)
        labels = batch.labels[:, 1:]
        hits = iter((logits_of(model, told, batch).argmax(-1) == labels[labels != -100]).tolist())
        for _, asked in papers:
            for one in asked:
                answer = [*tokenizer.encode(one.answer, add_special_tokens=False), None]
                right[one.kind].append(all([next(hits) for _ in answer]))
    model.train()
    return {kind: round(sum(hits) / max(len(hits), 1), 3) for kind, hits in right.items()}


def answer_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy in which a token of a short answer counts ``_ANSWER_WEIGHT`` times one of a long text.

    Captions are mostly grammar; unweighted they drown the few tokens that say where things are.
    """
    labelled = batch.labels[:, 1:] != -100
    weights = batch.weights[:, 1:][labelled]
    losses = F.cross_entropy(logits, batch.labels[:, 1:][labelled], reduction="none")
    return (losses * weights).sum() / weights.sum()


@torch.no_grad()
def set_letters_apart(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Move the letters' vectors as far apart as those of the words for shapes, colors and sizes.

    A model that cannot spell says every letter equally often. So its letters share nearly one vector, and
    there is hardly anything left by which spelling could be learned. A letter gets one direction, at the
    beginning of a word and inside it. What the letters of a group have in common stays.
    """
    vectors = model.get_input_embeddings().weight
    told = [word for name, group in _WORDS.items() if name != "letter" for word in group]
    words = vectors[tokenizer.convert_tokens_to_ids(told)]
    length = (words - words.mean(0)).norm(dim=1).mean()
    letters = _WORDS["letter"]
    own = torch.linalg.qr(torch.randn(vectors.shape[1], len(letters)))[0].T
    for form in ("{}", "##{}"):
        ids = tokenizer.convert_tokens_to_ids([form.format(letter) for letter in letters])
        vectors[ids] = vectors[ids].mean(0) + length * own


def _pupil(tokenizer: PreTrainedTokenizerFast, start: Path | None) -> tuple[LlamaForCausalLM, ToldImage, int]:
    """The model to teach, its told image, and the number of steps that train the told image alone.

    A new told image needs those steps to learn to speak to the model.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=384, num_hidden_layers=5,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    told = ToldImage(tokenizer, config.hidden_size)
    if start is None:
        return LlamaForCausalLM(config), told, 0
    model = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
    if not (start / TOLD_IMAGE).exists():
        return model, told, 60
    load_model(told, start / TOLD_IMAGE)
    return model, told, 0


def make_language(
    out: Path, minutes: float, seed: int = 0, start: Path | None = None, captions: float = 0.2,
    size: int = 24, rate: float = 1e-3, focus: str | None = None, letters_apart: bool = False,
) -> None:  # fmt: skip
    """Train the language model for ``minutes`` and write it to ``out`` in Hugging Face form, fp16.

    Args:
        start: a folder that an earlier call wrote, to go on from it; None begins from random weights.
        captions: share of steps spent on descriptions, the others are spent on questions.
        focus: a kind of question to ask nearly alone, see ``lesson``.
        letters_apart: whether the letters' vectors are moved apart before, see ``set_letters_apart``.
    """
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    model, told, alone = _pupil(tokenizer, start)
    if letters_apart:
        set_letters_apart(model, tokenizer)
    parameters = [*model.parameters(), *told.parameters()]
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens", flush=True)
    optimiser = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.02)
    ahead = ThreadPoolExecutor(1)

    def prepare(step: int) -> Batch:
        telling = int((step + 1) * captions) > int(step * captions)
        return assemble(
            [lesson(seed, step * size + i, telling, focus=focus) for i in range(size)], tokenizer, noise=True
        )

    def write(scores: dict[str, float]) -> None:
        print(json.dumps(scores), flush=True)
        save_half(copy.deepcopy(model), out)
        save_model(told, str(out / TOLD_IMAGE))
        tokenizer.save_pretrained(out)
        generation = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id, do_sample=False, max_new_tokens=120,
        )  # fmt: skip
        generation.save_pretrained(out)
        earlier = json.loads((start / "teaching.json").read_text()) if start is not None else None
        record = {
            "scenes": step * size, "steps": step, "batch": size, "minutes": minutes, "seed": seed,
            "rate": rate, "captions": captions, "focus": focus,
            "letters_apart": letters_apart, "told_scene_accuracy": scores,
            "after": earlier,
        }  # fmt: skip
        (out / "teaching.json").write_text(json.dumps(record, indent=2) + "\n")

    begin, step, coming = time.monotonic(), 0, ahead.submit(prepare, 0)
    while (done := (time.monotonic() - begin) / (60 * minutes)) < 1:
        batch, coming = coming.result(), ahead.submit(prepare, step + 1)
        for group in optimiser.param_groups:  # constant, then down to nothing
            group["lr"] = rate * min(1, (step + 1) / 100, 0.01 + 2 * (1 - done))
        loss = answer_loss(logits_of(model, told, batch), batch)
        optimiser.zero_grad()
        loss.backward()
        if step < alone:
            for parameter in model.parameters():
                parameter.grad = None
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step} loss {loss.item():.3f} done {done:.2f}", flush=True)
        if step % 150 == 0:
            write(exam(model, told, tokenizer, 100))
    write(exam(model, told, tokenizer, 400))
