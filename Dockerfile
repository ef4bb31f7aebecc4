# syntax=docker/dockerfile:1
# Two targets of one image: `cpu`, and `gpu` whose PyTorch brings the CUDA libraries.
#   docker build --target cpu -t penchant:cpu .
#   docker build --target gpu -t penchant:gpu .

FROM python:3.11-slim-bookworm AS base
# libgomp1: OpenMP, for implicit and scikit-learn; tini: passes signals on and reaps what ends
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 tini \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir uv \
    && useradd --create-home --uid 1000 penchant \
    && install --directory --owner penchant --group penchant /var/lib/penchant /opt/penchant
ENV UV_SYSTEM_PYTHON=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /opt/penchant
COPY requirements.lock ./

FROM base AS cpu-packages
RUN UV_TORCH_BACKEND=cpu uv pip install --requirement requirements.lock

FROM base AS gpu-packages
RUN uv pip install --requirement requirements.lock

FROM cpu-packages AS cpu
COPY --chown=penchant . .
USER penchant
VOLUME /var/lib/penchant
ENTRYPOINT ["tini", "--"]

FROM gpu-packages AS gpu
COPY --chown=penchant . .
USER penchant
VOLUME /var/lib/penchant
ENTRYPOINT ["tini", "--"]
