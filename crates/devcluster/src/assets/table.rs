//! The programs themselves, each with the module that pins it.

use super::{Asset, Module};

static KUBERNETES: Module = Module {
    go_mod: include_str!("../../go/kubernetes/go.mod"),
    go_sum: include_str!("../../go/kubernetes/go.sum"),
    sources: &[],
};
static ETCD_MODULE: Module = Module {
    go_mod: include_str!("../../go/etcd/go.mod"),
    go_sum: include_str!("../../go/etcd/go.sum"),
    sources: &[],
};
static HELM_MODULE: Module = Module {
    go_mod: include_str!("../../go/helm/go.mod"),
    go_sum: include_str!("../../go/helm/go.sum"),
    sources: &[],
};
static KUBECONFORM_MODULE: Module = Module {
    go_mod: include_str!("../../go/kubeconform/go.mod"),
    go_sum: include_str!("../../go/kubeconform/go.sum"),
    sources: &[],
};
static ARGO_DIFF_MODULE: Module = Module {
    go_mod: include_str!("../../go/argodiff/go.mod"),
    go_sum: include_str!("../../go/argodiff/go.sum"),
    sources: &[("main.go", include_str!("../../go/argodiff/main.go"))],
};
static FLUX_APPLY_MODULE: Module = Module {
    go_mod: include_str!("../../go/fluxapply/go.mod"),
    go_sum: include_str!("../../go/fluxapply/go.sum"),
    sources: &[("main.go", include_str!("../../go/fluxapply/main.go"))],
};

const KUBERNETES_VERSION: &str = "v1.37.2";
const KUBERNETES_LDFLAGS: &str = "-X k8s.io/component-base/version.gitVersion=v1.37.2 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37";

/// The Kubernetes API server.
pub static KUBE_APISERVER: Asset = Asset {
    name: "kube-apiserver",
    version: KUBERNETES_VERSION,
    build_time: "4 to 6 minutes",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    ldflags: KUBERNETES_LDFLAGS,
    module: &KUBERNETES,
};
/// The database of the API server.
pub static ETCD: Asset = Asset {
    name: "etcd",
    version: "v3.7.3",
    build_time: "1 minute",
    package: "go.etcd.io/etcd/server/v3",
    ldflags: "",
    module: &ETCD_MODULE,
};
/// The command line client. A cluster runs without it; people rarely do.
pub static KUBECTL: Asset = Asset {
    name: "kubectl",
    version: KUBERNETES_VERSION,
    build_time: "1 minute",
    package: "k8s.io/kubernetes/cmd/kubectl",
    ldflags: KUBERNETES_LDFLAGS,
    module: &KUBERNETES,
};

/// What installs charts.
pub static HELM: Asset = Asset {
    name: "helm",
    version: "v4.3.1",
    build_time: "2 minutes",
    package: "helm.sh/helm/v4/cmd/helm",
    ldflags: "-X helm.sh/helm/v4/internal/version.version=v4.3.1",
    module: &HELM_MODULE,
};
/// What holds manifests against schemas.
pub static KUBECONFORM: Asset = Asset {
    name: "kubeconform",
    version: "v0.8.0",
    build_time: "half a minute",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    ldflags: "-X main.version=v0.8.0",
    module: &KUBECONFORM_MODULE,
};
/// What Argo CD would show as out of sync.
pub static ARGO_DIFF: Asset = Asset {
    name: "argo-diff",
    version: "v1",
    build_time: "4 minutes",
    package: ".",
    ldflags: "",
    module: &ARGO_DIFF_MODULE,
};
/// What applies as Flux does.
pub static FLUX_APPLY: Asset = Asset {
    name: "flux-apply",
    version: "v1",
    build_time: "2 minutes",
    package: ".",
    ldflags: "",
    module: &FLUX_APPLY_MODULE,
};

/// All programs that can be had.
pub static ALL: &[&Asset] = &[&KUBE_APISERVER, &ETCD, &KUBECTL, &HELM, &KUBECONFORM, &ARGO_DIFF, &FLUX_APPLY];
