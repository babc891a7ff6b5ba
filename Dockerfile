# The image: the program, its licences and its SBOM on a base without a shell. It runs as user 65532,
# needs no capability, and writes nothing unless `demo` or `audit` is asked for (/tmp, a cache).
#
#   docker build -t kafka-s3-sink --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop=ALL kafka-s3-sink demo
#
# Every base can be another one, for a mirror or a digest: BASE_IMAGE needs CA certificates and a glibc
# that is no older than RUST_IMAGE's.
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
ARG BASE_IMAGE=gcr.io/distroless/base-nossl-debian12:nonroot

FROM ${RUST_IMAGE} AS tools
RUN cargo install --locked --root /opt --target-dir /tmp/target cargo-cyclonedx@0.5.9 && rm -r /tmp/target

# All crates, and no line of ours: what follows is done again only when Cargo.lock changes.
FROM ${RUST_IMAGE} AS crates
SHELL ["/bin/bash", "-o", "pipefail", "-euc"]
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# Cargo wants a file for each target that Cargo.toml names.
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs && \
    sed -n 's/^path = "\(.*\)"/\1/p' Cargo.toml | xargs -I{} install -D src/main.rs {} && \
    cargo fetch --locked

# What is linked, for scanners and for lawyers.
FROM crates AS papers
SHELL ["/bin/bash", "-o", "pipefail", "-euc"]
COPY --from=tools /opt/bin/cargo-cyclonedx /usr/local/bin/
COPY deploy/packages/licences.sh deploy/packages/
RUN host=$(rustc -vV | sed -n 's/^host: //p') && mkdir /papers && \
    SOURCE_DATE_EPOCH=0 cargo cyclonedx -q --format json --spec-version 1.5 --target "$host" --override-filename sbom.cdx && \
    mv sbom.cdx.json /papers && \
    deploy/packages/licences.sh "$host" | gzip -9n >/papers/LICENSES.txt.gz

FROM crates AS build
ENV CARGO_PROFILE_RELEASE_DEBUG=false
# What builds ISA-L. What is there already stays as it is.
# hadolint ignore=DL3008
RUN apt-get update -q && \
    apt-get install -q -y --no-install-recommends nasm autoconf automake libtool && \
    rm -rf /var/lib/apt/lists/*
RUN cargo build --release --locked --bin kafka-s3-sink
COPY src src
# The stubs are newer than the sources. The one library beside glibc comes along, for it is all that
# would be wanted of a larger base.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked --bin kafka-s3-sink && \
    install -D target/release/kafka-s3-sink /out/usr/bin/kafka-s3-sink && \
    install -D -m 644 "$(gcc -print-file-name=libgcc_s.so.1)" /out/usr/lib/libgcc_s.so.1
# The names of our own functions stay, for the traces of errors. All names would be 7 MB.
RUN strip --strip-unneeded --wildcard --keep-symbol='*kafka_s3_sink*' /out/usr/bin/kafka-s3-sink

FROM ${BASE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=https://github.com/kafka-s3-sink/kafka-s3-sink
LABEL org.opencontainers.image.title="kafka-s3-sink" \
      org.opencontainers.image.description="Kafka to S3, every record exactly once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY LICENSE config/complete.toml config/minimal.toml /usr/share/doc/kafka-s3-sink/
COPY --from=papers /papers /usr/share/doc/kafka-s3-sink/
COPY --from=build /out /
# No setting of the sink's: it would win over the file. To be scraped from outside the container, the
# sink wants http.listen = "0.0.0.0:9464".
ENV KAFKA_S3_SINK_CONFIG=/etc/kafka-s3-sink/sink.toml
USER 65532:65532
EXPOSE 9464
STOPSIGNAL SIGTERM
# Alive, not ready: what waits for a broker is not helped by a restart.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s CMD ["/usr/bin/kafka-s3-sink", "healthcheck"]
ENTRYPOINT ["/usr/bin/kafka-s3-sink"]
CMD ["run"]
