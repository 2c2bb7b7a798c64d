# mejax on a CPU:          docker build -t mejax .
# on an NVIDIA GPU:        docker build --build-arg EXTRAS=cuda13 -t mejax .
#                          docker run --gpus all ...
# Then, for example:       docker run --rm -v "$PWD:/work" mejax demo
FROM python:3.13-slim

ARG EXTRAS=""

# What OpenCV loads.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /mejax
COPY . .
RUN pip install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}"

WORKDIR /work
ENTRYPOINT ["mejax"]
CMD ["--help"]
