//! The programs themselves, each with the module that pins it.

use super::{Asset, Module};

/// The module of a folder of `go/`, with those of its sources that are our own.
macro_rules! module {
    ($folder:literal $(, $source:literal)*) => {
        Module {
            go_mod: include_str!(concat!("../../go/", $folder, "/go.mod")),
            go_sum: include_str!(concat!("../../go/", $folder, "/go.sum")),
            sources: &[$(($source, include_str!(concat!("../../go/", $folder, "/", $source)))),*],
        }
    };
}

const KUBERNETES_VERSION: &str = "v1.37.2";
const KUBERNETES_LDFLAGS: &str = "-X k8s.io/component-base/version.gitVersion=v1.37.2 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37";

static KUBERNETES: Module = module!("kubernetes");

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
    module: &module!("etcd"),
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
    module: &module!("helm"),
};
/// What holds manifests against schemas.
pub static KUBECONFORM: Asset = Asset {
    name: "kubeconform",
    version: "v0.8.0",
    build_time: "half a minute",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    ldflags: "-X main.version=v0.8.0",
    module: &module!("kubeconform"),
};
/// What Argo CD would show as out of sync.
pub static ARGO_DIFF: Asset = Asset {
    name: "argo-diff",
    version: "v1",
    build_time: "4 minutes",
    package: ".",
    ldflags: "",
    module: &module!("argodiff", "main.go"),
};

/// What writes the operator's image; the version is that of the library it is built on.
pub static IMAGE: Asset = Asset {
    name: "image",
    version: "v0.22.1",
    build_time: "half a minute",
    package: ".",
    ldflags: "",
    module: &module!("image", "main.go", "sbom.go"),
};
/// What Argo CD and Flux make of objects: health scripts, actions, kstatus.
pub static GITOPS_ORACLE: Asset = Asset {
    name: "gitops-oracle",
    version: "v1",
    build_time: "1 minute",
    package: ".",
    ldflags: "",
    module: &module!("gitops", "main.go", "lua.go", "argo.go", "kstatus.go"),
};

/// All programs that can be had.
pub static ALL: &[&Asset] =
    &[&KUBE_APISERVER, &ETCD, &KUBECTL, &HELM, &KUBECONFORM, &GITOPS_ORACLE, &ARGO_DIFF, &IMAGE];
