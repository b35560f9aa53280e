FROM debian:trixie-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates g++ make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home trust \
    && install -d -o trust -g trust /opt/tfx-trust /data

USER trust
WORKDIR /opt/tfx-trust

# The environment depends on these files alone, so that an edit of the source does not install it again.
COPY --chown=trust LICENSE Makefile README.md pyproject.toml setup.py uv.lock ./
COPY --chown=trust tools/setup.sh tools/
# Without an __init__.py they would be installed as namespaces, for good.
RUN mkdir components pipelines cli schemas \
    && touch components/__init__.py pipelines/__init__.py cli/__init__.py schemas/__init__.py \
    && make setup \
    && rm -rf .uv "$HOME/.cache"

COPY --chown=trust . .

# A user given with --user has no home here; libraries want one to write to.
ENV HOME=/tmp
WORKDIR /data
ENTRYPOINT ["/opt/tfx-trust/.venv/bin/tfx-trust"]
