"""OCR specialist for vila2: text recognition, understanding and reasoning (VILA² section 2.2.1)."""

from __future__ import annotations

from vila2.plugin import MergePolicy, Specialist, hookimpl

__version__ = "0.1.0"

#: Asked of every image in the specialist augmentation (paper A.1).
PROMPTS = (
    "Your task is to recognize and describe the text in the image. "
    "Please provide a brief description that focuses "
    "on the textual content.",
)
#: Questions in merged conversations. Their words differ from those that the text was generated with.
QUESTIONS = (
    "What text is in the image?",
    "Describe what is written in this picture.",
    "Which words can be read in the image, and where do they stand?",
    "Read the text in the image.",
)


@hookimpl
def vila2_specialists() -> list[Specialist]:
    """The only specialist of this package."""
    return [
        Specialist(
            name="ocr",
            summary="Reads text in images, understands it and reckons with it",
            reads="images with their texts: rows {image, texts: [{text, box}]}; or data sets about text: "
            "TextOCR-GPT4V, SynthDoG, OCR-VQA, "
            "DocVQA, ChartQA, The Cauldron and others, each in a folder of its name "
            "(vila2_ocr.readers.SOURCES says where to "
            "get them); or rows {image, question, answer}",
            builder="vila2_ocr.builder:OcrBuilder",
            config="vila2_ocr.builder:OcrConfig",
            recipe="vila2_ocr/recipe.yaml",
            prompts=PROMPTS,
            questions=QUESTIONS,
            parser="vila2_ocr.parser:parse",
            metrics="vila2_ocr.metrics:score",
            verifier="vila2_ocr.verifier:verify",
            # Most images hold no text. The conversation says so only now and then.
            merge=MergePolicy(priority=20, empty_share=0.02),
            licence="of the data that it is trained on: see the table of sources in vila2_ocr.readers; "
            "TextOCR-GPT4V "
            "and others are for non-commercial use",
        )
    ]
