"""hessian-dendrogram analyse examples/hugging_face.py --checkpoints lm --out runs/lm   (lm/checkpoint-500, ...)"""

from pathlib import Path

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from hessian_dendrogram import Experiment, heads_as_groups, next_token_loss, next_token_weight


def texts(_):
    """Tokens of every line, with labels where there is no padding."""
    lines = Path("lm/texts.txt").read_text().splitlines()
    batch = AutoTokenizer.from_pretrained("lm")(lines, padding=True, return_tensors="pt")
    return batch | {"labels": batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)}, None


experiment = Experiment(name="lm", data=texts, loss=next_token_loss, weight=next_token_weight, groups=heads_as_groups,
    model=lambda: AutoModelForCausalLM.from_config(AutoConfig.from_pretrained("lm")), lanczos={"top": 10})  # fmt: skip
