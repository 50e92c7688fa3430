# Training, on a GPU where the container is given one. Build from the repository's root:
#   docker build -f docker/train.Dockerfile -t kgcorpus-train .
FROM python:3.11.14-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/home/kgcorpus/.cache/huggingface

WORKDIR /opt/kgcorpus
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY kgcorpus kgcorpus
COPY pipelines pipelines
COPY trainer trainer
RUN pip install -c constraints.txt '.[train,report]'

RUN useradd --uid 10001 --create-home kgcorpus
USER 10001
WORKDIR /home/kgcorpus
CMD ["kgcorpus", "train", "--help"]
