"""Training steps in the names of checkpoint files: the number that a word claims, or the only one; else refused."""

from __future__ import annotations

import re
from decimal import Decimal

from ..errors import UserError
from ..texts import escaped

SUFFIXES = (".pt", ".pth", ".safetensors", ".ckpt", ".pth.tar")
_WORDS = {  # in names: what the number at such a word counts; right at another word (resnet18) it counts something else
    "step": "step steps globalstep globalsteps iter iters iteration iterations it itr update updates ba",
    "epoch": "epoch epochs ep",
    "other": """acc accuracy alpha auc batch beta bert block bs channels decay densenet depth dim dropout eps err error
        exp experiment fold gamma gpt gpu gpus head heads hidden iou job layer layers loss lr mae map max metric min
        momentum mse node of part ppl process rank resnet rev run score seed shard size split task temperature test
        timestep timesteps top total trial v val valid version vgg vit warmup wd width worker world""",
    "plain": "checkpoint chkpt ckpt cp global model net network params saved snapshot state weight weights",
}
_KIND = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_QUALIFIERS = {"accum", "accumulation", "every", "inner", "max", "micro", "per", "sub", "time", "total", "warmup"}
LARGEST_STEP = 10**12  # updates; what is larger is a date or a digest
TOKEN = re.compile(
    r"(?P<number>(?:(?<![^_=:\s(\-])[-+])?(?:[0-9]+(?:\.[0-9]+)*|(?<=[_=\-\s])\.[0-9]+)"  # -5, 0.25, .25
    r"(?:[eE][-+]?[0-9]+|[kKmM](?![^\W\d_]))?)"  # 1e3, 1.5M
    r"|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+"  # words, also those in camel case
)


class NoStepError(UserError):
    """A file has no step, neither in it nor in its name; among others that have one, it is none of the training's."""


def step_in_name(name: str) -> int:
    """The training step in a file name: the number at "step" or "iter", else at "epoch", else the only number in it.

    `10k`, `1.5M` and `1e3` are understood.

    Raises:
        NoStepError: the name has no such number.
        UserError: it has several, or one that is no whole number of updates.
    """
    for kind in ("step", "epoch", "number"):
        if (number := count_in_name(name, kind)) is not None:
            return number
    raise NoStepError(
        f"{escaped(name)} has no training step in its name; rename it, or give the one file with --step N"
    )


def count_in_name(name: str, kind: str) -> int | None:
    """The one number of a kind in a name: "step", "epoch", or "number" for one that no word lays claim to."""
    claims = _claims(name)
    tokens = claims.get(kind, [])
    if claims.get("unclear"):
        raise _uncertain(name, f"{claims['unclear'][0][0]} stands between two words that could claim it")
    if kind == "number" and len(tokens) > 1:
        raise _uncertain(name, f"{' and '.join(token[0] for token in tokens)} could each be it")
    values = {_whole(name, token): token[0] for token in tokens}
    if len(values) > 1:
        raise _uncertain(name, f"{' and '.join(values.values())} are both called {kind}")
    return next(iter(values), None)


def has_number(name: str) -> bool:
    """Whether some number in a name may be a step, certain or not."""
    return any(kind != "other" for kind in _claims(name))


def _uncertain(name: str, why: str) -> UserError:
    return UserError(
        f"{escaped(name)} has no certain training step in its name: {escaped(why)}; "
        "rename it, as step_1000.pt, or give the one file with --step N"
    )


def _claims(name: str) -> dict[str, list[re.Match[str]]]:
    """The numbers in a name by what the word before them, or a "steps" after them, says that they count."""
    while name.lower().endswith((*SUFFIXES, ".bin")):
        name = name[: name.rindex(".")]
    name = re.sub(r"(?<=[0-9][kKmM])(?=step|iter|epoch)", "_", name, flags=re.IGNORECASE)  # 10ksteps
    tokens = list(TOKEN.finditer(name))
    kinds = [None if token["number"] else _KIND.get(token[0].lower(), "unknown") for token in tokens]
    for index in range(1, len(tokens)):
        if kinds[index] in ("step", "epoch") and tokens[index - 1][0].lower() in _QUALIFIERS:
            kinds[index] = "other"
    claims: dict[str, list[re.Match[str]]] = {}
    for index, token in enumerate(tokens):
        if token["number"]:
            claims.setdefault(_claim(tokens, kinds, index), []).append(token)
    return claims


def _claim(tokens: list[re.Match[str]], kinds: list[str | None], index: int) -> str:
    """What a number counts: "step", "epoch", "other", "unclear", or "number" where no word beside it says anything."""
    token, left = tokens[index], kinds[index - 1] if index else None
    if left == "unknown" and tokens[index - 1].end() == token.start():
        return "other"  # mlp2
    claim = left if left in ("step", "epoch", "other") else "number"
    right = kinds[index + 1] if index + 1 < len(tokens) else None
    if right in ("step", "epoch", "other"):
        after = tokens[index + 1]
        is_suffix = after.start() == token.end() or after[0].lower().endswith("s")
        if index + 2 == len(tokens) or not tokens[index + 2]["number"]:  # 100_steps, and no number after it
            if claim == "number":
                return right
            return claim if right == "other" else "unclear"
        if claim == "number" and right != "other" and is_suffix:
            return "unclear"  # 100_steps_3
    if claim == "number" and token.string[: token.start()].endswith("("):
        return "other"  # what a browser adds to the name of a second copy
    if (
        claim == "number"
        and token[0][-1] in "mM"
        and left
        and (left != "plain" or tokens[index - 1][0].lower() == "model")
    ):
        return "other"  # model_70M has 70 million parameters
    return claim


def _whole(name: str, token: re.Match[str]) -> int:
    """The value of a number in a name; refused where it is not whole or could be read in two ways."""
    text, rest = token[0], token.string[token.end() :]
    following = TOKEN.match(rest)
    if rest[:1].isalnum() and (following is None or following[0].lower() not in _KIND):
        raise _uncertain(name, f"{text} goes on as {text}{rest.split('_')[0]}, which is no number")
    if re.match(r"[-_ ](k|m|mio|thousand|million)(?![^\W\d_])", rest, re.IGNORECASE):
        raise _uncertain(name, f"{text} may be meant with the word after it")
    if re.fullmatch(r"[1-9][0-9]{0,2}(\.[0-9]{3})+", text) or (
        re.fullmatch(r"[1-9][0-9]{0,2}", text) and re.match(r"[_,' ][0-9]{3}(?![0-9])", rest)
    ):
        raise _uncertain(name, f"{text}{rest[:4]} may be one number in groups of digits, or two")
    factor = {"k": 1000, "m": 1_000_000}.get(text[-1].lower(), 1)
    try:
        value = Decimal(text.rstrip("kKmM")) * factor
    except ArithmeticError:
        raise _uncertain(name, f"{text} is no number") from None
    if re.match(r"[0-9]{3,}[eE]", text):
        raise _uncertain(name, f"{text} may be an exponent, or two numbers")
    if not 0 <= value <= LARGEST_STEP or value != int(value):
        raise _uncertain(name, f"{text} is no whole number from 0 to {LARGEST_STEP:,}")
    return int(value)
