# The library, the urlmon command and the example services.
FROM python:3.13-slim-trixie

WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY migrations migrations
COPY tools tools
COPY src src
# The locked versions without their hashes, which pip cannot check beside a local package.
RUN grep -Eo '^[[:alnum:]._-]+==[^ ;]+' requirements/demo.txt >constraints.txt \
    && pip install --no-cache-dir --constraint constraints.txt '.[cli]'
COPY examples examples

RUN useradd --system --uid 10001 urlmon
USER urlmon
CMD ["urlmon", "--help"]
