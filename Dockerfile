# docker build --target cpu -t tweetscore:cpu .        docs/container.md says more.
# docker build --target cuda -t tweetscore:cuda .
#
# Any image of Debian or Ubuntu with Python 3.11 and pip will do. A tag, so that building again takes Debian's
# security updates; to have the same base for ever, name it by its digest (NAME@sha256:...).
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python3 -m venv --without-pip /opt/tweetscore

# pip refuses a file that has another hash than the lock's.
FROM builder AS cpu-libraries
COPY requirements/cpu.txt requirements/
RUN pip --python /opt/tweetscore/bin/python install --no-deps --require-hashes -r requirements/cpu.txt

FROM builder AS cuda-libraries
COPY requirements/core.txt requirements/cuda.txt requirements/
RUN pip --python /opt/tweetscore/bin/python install --no-deps --require-hashes -r requirements/core.txt \
    -r requirements/cuda.txt

# The package with the embedded model. What it is built with is in the lock too.
FROM cpu-libraries AS wheel
COPY LICENSE NOTICE README.md pyproject.toml ./
COPY export export
COPY scorer scorer
COPY tweetscore tweetscore
RUN pip --python /opt/tweetscore/bin/python wheel --no-deps --no-build-isolation --wheel-dir /wheel .

FROM cpu-libraries AS cpu-installed
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/tweetscore/bin/python install --no-deps /wheel/*.whl

FROM cuda-libraries AS cuda-installed
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/tweetscore/bin/python install --no-deps /wheel/*.whl

# Nothing is written but to /data and, for what passes through standard input, /tmp. Any user will do:
# no name, no home and no file of the image belongs to one.
FROM ${BASE} AS runtime
LABEL org.opencontainers.image.title="tweetscore" \
      org.opencontainers.image.source="https://github.com/tweetscore/tweetscore" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/tweetscore/bin:$PATH HOME=/tmp LANG=C.UTF-8
RUN install --directory --owner=10001 --group=10001 /data
WORKDIR /data
USER 10001:10001
# No HEALTHCHECK: `doctor` loads the model too, and belongs before a run (compose.yaml), not beside it.
ENTRYPOINT ["tweetscore"]
CMD ["--help"]

FROM runtime AS cuda
# The driver's libraries come from the host, by way of NVIDIA's container toolkit.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=cuda-installed /opt/tweetscore /opt/tweetscore
RUN ["tweetscore", "doctor", "--device", "cpu"]

# The last stage is what a build without --target makes.
FROM runtime AS cpu
COPY --from=cpu-installed /opt/tweetscore /opt/tweetscore
RUN ["tweetscore", "doctor"]
