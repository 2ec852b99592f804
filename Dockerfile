# Two images: `--target virtgate` for the API server and the controller, `--target worker`, which has QEMU besides.
#
# To build the same again later, name the base by its digest and QEMU by its version:
#   docker build --target worker --build-arg NODE_IMAGE=node@sha256:… --build-arg QEMU_VERSION=… .

# Debian, as the worker takes QEMU from there.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages bring a Node along, which the base has. What is taken away is for people and compilers alone.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete \
  && rm -rf node_modules/.package-lock.json /root/.npm /tmp/*

FROM ${NODE_IMAGE} AS program
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY openapi/generated openapi/generated
COPY certs certs
COPY src src
COPY image/compile.mjs image/
# For what is compiled when the image is built; Node keeps a folder for each user in it.
RUN install -d -m 1777 node_modules/.cache/virtgate
ENTRYPOINT ["node", "/app/src/virtgate.mjs"]

FROM program AS virtgate
USER 65532:65532
# The one layer that differs each time: V8 writes a seed of its own into what it has compiled.
RUN ["node", "/app/image/compile.mjs"]

FROM program AS worker
ARG QEMU_VERSION=
ARG TARGETARCH
# nftables keeps guests from the node's loopback, iproute2 puts them on bridges, socat speaks vsock with them.
RUN case "${TARGETARCH:-$(dpkg --print-architecture)}" in \
    amd64) machine=qemu-system-x86 firmware=ovmf ;; \
    arm64) machine=qemu-system-arm firmware=qemu-efi-aarch64 ;; \
    *) echo "guests run on amd64 and arm64 alone" >&2; exit 1 ;; \
  esac \
  && apt-get update \
  && apt-get install -y --no-install-recommends \
    "$machine${QEMU_VERSION:+=$QEMU_VERSION}" "qemu-utils${QEMU_VERSION:+=$QEMU_VERSION}" "$firmware" \
    iproute2 nftables socat \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/apt /var/log/dpkg.log
COPY image/worker-init.sh /usr/local/bin/worker-init
# Root, so that each QEMU can get a user of its own.
USER 0:0
RUN ["node", "/app/image/compile.mjs"]
# The first process of the container: it starts the worker again should it crash. Its guests outlive that, and are adopted.
ENTRYPOINT ["/usr/local/bin/worker-init", "node", "/app/src/virtgate.mjs"]
