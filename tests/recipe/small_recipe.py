"""A small recipe, and the names from outside that it may use."""

KNOWN = {
    "source": ["world", "llava", "folder"],
    "prompt": ["simple", "long-v1", "long-v2", "long-v3"],
    "benchmark": ["captions", "questions"],
}

GOOD = """\
name: small
data:
  pictures: {source: world, options: {count: 3}}
model:
  vision: some/tower
  language: some/model
stages:
  align:
    mixture: [{dataset: pictures}]
  pretrain:
    mixture: [{dataset: pictures, weight: 0.5}]
  sft:
    mixture: [{dataset: pictures}]
evaluate:
  - {name: captions, kind: captions, dataset: pictures}
"""
