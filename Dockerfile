# Dashboard and REST API in one image: see compose.yaml.
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 10001 darkroom && install --directory --owner darkroom /data
WORKDIR /app

# On a machine without an NVIDIA card the image is some gigabytes smaller with
# --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_INDEX=https://pypi.org/simple
COPY requirements.txt ./
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" --requirement requirements.txt

COPY .streamlit .streamlit
COPY app.py ./
COPY core core
COPY pages pages

# What Darkroom makes (datasets, runs, keys) lives in /data and outlives the container.
ENV DARKROOM_HOME=/data PYTHONUNBUFFERED=1
USER 10001
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/api/healthz', timeout=8)"]
CMD ["streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.headless", "true"]
