"""What the API answers, field by field; the OpenAPI description and the tests are made from these."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import BaseModel, Field

from core.evaluation.explainer import ExplainedImage
from core.inference.bundle import Bundle
from core.inference.classifier import Answer
from core.runs.store import Run, summary


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="What is wrong.")
    fix: str = Field(description="What to do about it; may be empty.")


class Health(BaseModel):
    """How the server is."""

    status: str = Field(description="`ok`, or why it is not ready.")


class Labels(BaseModel):
    """The classes a model knows."""

    run: str
    labels: list[str] = Field(description="In the order of the network's outputs.")


class Model(BaseModel):
    """A trained model."""

    run: str = Field(description="Its id, as it stands in addresses.")
    labels: list[str]
    architecture: str
    dataset: str | None = Field(description="The dataset it was trained on.")
    test_accuracy: float | None = Field(description="Share of its test images it classifies rightly, 0..1.")
    image_size: int = Field(description="Height and width of what the network sees, pixels.")
    preprocess_hash: str = Field(description="Changes with the way images are prepared.")
    temperature: float = Field(description="What logits are divided by, so that confidences mean what they say.")
    abstention_threshold: float | None = Field(description="The confidence below which it is not sure, 0..1.")


class Models(BaseModel):
    """All models here."""

    models: list[Model]


class Probability(BaseModel):
    """One class and its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class Saliency(BaseModel):
    """Where the model looked, and whether that can be believed."""

    label: str = Field(description="The class whose map it is.")
    believable: bool = Field(description="Whether the map passed its checks; the picture is grey where not.")
    fault: str = Field(description="Why it is not to be believed; empty where it is.")
    picture: str = Field(description="A JPEG, base64: the image as the network saw it, under its map.")


class Prediction(BaseModel):
    """What the model says of one image."""

    name: str = Field(description="The file's name as it was sent.")
    label: str | None = Field(description="The likeliest class, also where the model is not sure; null for no image.")
    confidence: float | None = Field(description="Its calibrated probability, 0..1.")
    accepted: bool = Field(description="Whether `label` may be taken for an answer: read, sure, and not strange.")
    sure: bool | None = Field(description="Whether the confidence reaches the model's threshold.")
    familiar: bool | None = Field(description="Whether it is like the training images; null where that is not known.")
    top: list[Probability] = Field(description="The likeliest classes, likeliest first.")
    error: str | None = Field(description="Why the image could not be read; null where it was.")
    saliency: Saliency | None = Field(description="Where it was asked for and could be made.")


class Predictions(BaseModel):
    """An entry for each file, in the order they were sent."""

    run: str
    predictions: list[Prediction]


def prediction(answer: Answer, top_k: int, explained: ExplainedImage | None) -> dict[str, Any]:
    """A `Prediction` as plain values, which is quicker to write than the class."""
    return {
        "name": answer.name,
        "label": answer.label,
        "confidence": answer.confidence,
        "accepted": answer.accepted,
        "sure": None if answer.error else answer.sure,
        "familiar": answer.familiar,
        "top": [{"label": label, "probability": share} for label, share in answer.top[:top_k]],
        "error": answer.error,
        "saliency": None
        if explained is None
        else {
            "label": explained.label,
            "believable": not explained.fault,
            "fault": explained.fault,
            "picture": base64.b64encode(explained.picture).decode(),
        },
    }


def model(run: Run, bundle: Bundle) -> dict[str, Any]:
    """A `Model` as plain values."""
    about = summary(run)
    return {
        "run": run.id,
        "labels": bundle.classes,
        "architecture": bundle.architecture,
        "dataset": about["dataset"],
        "test_accuracy": about["test_accuracy"],
        "image_size": bundle.spec.size,
        "preprocess_hash": bundle.spec.hash,
        "temperature": bundle.temperature,
        "abstention_threshold": bundle.abstention_threshold,
    }
