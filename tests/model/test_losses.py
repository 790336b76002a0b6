"""Soft cross-entropy against a loop over tokens, its gradient, and its floor."""

import math

import pytest
import torch
from torch.nn import functional as F

from vila2.data.tokens import TokenGroup, TokenSpec
from vila2.model.losses import SoftTokenLoss, soft_cross_entropy

SPACE = TokenGroup(TokenSpec("loc", "<loc_{}>", 8, loss="soft"), 5)
TIME = TokenGroup(TokenSpec("time", "<t_{}>", 5, loss="soft", sigma=2.5), 14)
HARD = TokenGroup(TokenSpec("id", "<id_{}>", 3), 20)
GROUPS = (SPACE, TIME, HARD)
VOCABULARY = 30


def naive(logits, targets, groups, num_items=None):
    """One token after the other, as the definition reads."""
    total, count = torch.zeros(()).double(), 0
    for row, y in zip(logits.double(), targets.tolist(), strict=True):
        if y == -100:
            continue
        count += 1
        wanted = torch.zeros(len(row)).double()
        wanted[y] = 1.0
        for group in groups:
            if group.spec.loss == "soft" and group.first <= y < group.first + group.spec.count:
                for k in range(group.first, group.first + group.spec.count):
                    wanted[k] = math.exp(-((y - k) ** 2) / (2 * group.spec.sigma**2))
                wanted /= wanted.sum()
        total = total - (wanted * row.log_softmax(0)).sum()
    return total / (count if num_items is None else num_items)


@pytest.mark.parametrize("num_items", [None, 7, torch.tensor(50)])
def test_it_is_what_a_loop_over_the_tokens_gives(num_items):
    torch.manual_seed(0)
    logits = 3 * torch.randn(200, VOCABULARY)
    targets = torch.randint(0, VOCABULARY, (200,))
    targets[::3] = -100
    found = soft_cross_entropy(logits, targets, GROUPS, num_items=num_items)
    assert float(found.loss) == pytest.approx(float(naive(logits, targets, GROUPS, num_items)), rel=1e-5)


def test_its_gradient_is_right():
    torch.manual_seed(0)
    logits = torch.randn(12, VOCABULARY, dtype=torch.double, requires_grad=True)
    targets = torch.tensor([-100, 0, 5, 8, 12, 14, 16, 18, 20, 22, 29, -100])
    assert torch.autograd.gradcheck(lambda z: soft_cross_entropy(z, targets, GROUPS).loss, logits)


@pytest.mark.parametrize(
    "sigma, number, floor", [(1, 500, 1.4189), (1, 0, 0.9189), (1, 999, 0.9189), (2, 500, 2.112)]
)
def test_the_floor_is_the_entropy_and_the_excess_is_above_it(sigma, number, floor):
    group = TokenGroup(TokenSpec("loc", "<loc_{}>", 1000, loss="soft", sigma=sigma), 3)
    perfect = -((torch.arange(1000.0) - number) ** 2) / (2 * sigma**2)
    logits = torch.full((1, 1010), -1e4)
    logits[0, 3:1003] = perfect
    found = soft_cross_entropy(logits, torch.tensor([3 + number]), (group,))
    assert float(found.loss) == pytest.approx(floor, abs=2e-4)
    assert float(found.excess) == pytest.approx(0, abs=1e-5) and float(found.targets) == 1
    worse = soft_cross_entropy(torch.zeros(1, 1010), torch.tensor([3 + number]), (group,))
    assert float(worse.excess) == pytest.approx(math.log(1010) - floor, abs=2e-4)


def test_a_near_miss_costs_less_than_a_far_one():
    def loss(said):
        return float(
            soft_cross_entropy(
                10 * F.one_hot(torch.tensor([said]), VOCABULARY).float(), torch.tensor([7]), GROUPS
            ).loss
        )

    assert loss(7) < loss(8) < loss(9) < loss(12)
    assert loss(12) == pytest.approx(loss(25), abs=0.01), "beyond the reach of sigma everything is as wrong"


@pytest.mark.parametrize("rows", [0, 4])
def test_nothing_to_learn_is_zero_and_can_be_gone_back_through(rows):
    logits = torch.randn(rows, VOCABULARY, requires_grad=True)
    loss = soft_cross_entropy(logits, torch.full((rows,), -100), GROUPS).loss
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_half_precision_is_summed_in_single():
    torch.manual_seed(0)
    logits, targets = torch.randn(64, VOCABULARY).bfloat16(), torch.randint(0, VOCABULARY, (64,))
    found = soft_cross_entropy(logits, targets, GROUPS).loss
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(naive(logits, targets, GROUPS)), rel=1e-5)


def test_as_a_models_loss_it_shifts_and_keeps_the_excess():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 6, VOCABULARY), torch.randint(0, VOCABULARY, (2, 6))
    labels[:, 2] = 9
    labels[0, 0] = 6  # the first token is asked for nowhere
    loss = SoftTokenLoss(GROUPS)
    shifted = labels[:, 1:].flatten()
    assert float(loss(logits, labels, VOCABULARY)) == pytest.approx(
        float(naive(logits[:, :-1].flatten(0, 1), shifted, GROUPS)), rel=1e-5
    )
    soft = sum(int(g.first <= y < g.first + g.spec.count) for y in shifted.tolist() for g in (SPACE, TIME))
    excess, targets = loss.take("cpu").tolist()
    assert excess > 0 and targets == soft >= 2
    assert loss.take("cpu").tolist() == [0, 0]
