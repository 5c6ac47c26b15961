//! The programs a cluster is made of: where they are looked for, and how they are built.
//!
//! Order of look-up: the folder that `KUBEBUILDER_ASSETS` names, the user's cache folder, a build from Go
//! modules into that cache. Another program is another row of [`ALL`] and a `tool` line in a module file, or a module of our own.

mod lookup;
mod table;

pub use lookup::Places;
pub use table::{ALL, ARGO_DIFF, ETCD, GITOPS_ORACLE, HELM, IMAGE, KUBE_APISERVER, KUBECONFORM, KUBECTL};

use std::path::PathBuf;

use anyhow::Result;

/// A program that can be built from a Go module.
#[derive(Debug)]
pub struct Asset {
    /// The file name, such as `kube-apiserver`.
    pub name: &'static str,
    /// The version, such as `v1.37.2`; the same as in the module file.
    pub version: &'static str,
    /// How long a first build takes on two cores, in words.
    pub build_time: &'static str,
    /// The Go package of its `main`; `.` where the module brings its own sources.
    package: &'static str,
    /// What the linker is told, beyond stripping: mostly the version, without which a program misreports
    /// itself.
    ldflags: &'static str,
    module: &'static Module,
}

/// The files that pin a Go module and all it depends on. They are compiled in, so that a binary or a test can
/// build assets from anywhere.
#[derive(Debug)]
struct Module {
    go_mod: &'static str,
    go_sum: &'static str,
    /// Sources of our own, by file name; empty where the program is a `tool` of the module file.
    sources: &'static [(&'static str, &'static str)],
}

impl Asset {
    /// The path of the program, which is built if it is nowhere. A first build takes minutes and needs Go and
    /// its module proxy; progress is told on stderr.
    ///
    /// # Errors
    /// Where no cache folder can be had, Go is missing or too old, or the build fails.
    pub fn path(&self) -> Result<PathBuf> {
        Places::from_env()?.find_or_build(self)
    }

    /// What the program is built from, in 16 hex digits: it changes with the module files, the flags and the
    /// platform, and with it the place in the cache.
    fn digest(&self) -> String {
        let Module { go_mod, go_sum, sources } = self.module;
        let platform = [std::env::consts::OS, std::env::consts::ARCH];
        let sources = sources.iter().flat_map(|(name, text)| [*name, *text]);
        let parts = [go_mod, go_sum, self.package, self.ldflags].into_iter().chain(platform).chain(sources);
        format!("{:016x}", fnv1a(parts))
    }

    /// The files of the module, as name and text.
    pub(crate) fn module_files(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let Module { go_mod, go_sum, sources } = self.module;
        [("go.mod", *go_mod), ("go.sum", *go_sum)].into_iter().chain(sources.iter().copied())
    }

    /// The arguments of `go` that build the program into the file `output`.
    pub(crate) fn go_arguments(&self, output: &str) -> [String; 8] {
        let ldflags = format!("-s -w {}", self.ldflags);
        // -mod and -buildvcs are said because a user's own GOFLAGS may say otherwise.
        ["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", &ldflags, "-o", output]
            .map(String::from)
    }

    /// The Go package of the program's `main`.
    pub(crate) const fn package(&self) -> &'static str {
        self.package
    }
}

/// FNV-1a of 64 bits: stable over releases of Rust, as the standard hasher is not, and enough where nobody
/// forges input.
fn fnv1a<'a>(parts: impl Iterator<Item = &'a str>) -> u64 {
    let separated = parts.flat_map(|part| part.bytes().chain([0]));
    separated
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_a_tool_of_its_module_in_the_version_that_it_claims_or_has_sources_of_its_own() {
        for asset in ALL {
            let is_own = asset.package == ".";
            assert_eq!(
                is_own,
                asset.module.sources.iter().any(|(name, _)| *name == "main.go"),
                "{}",
                asset.name
            );
            if is_own {
                continue;
            }
            let words: Vec<&str> = asset.module.go_mod.split_whitespace().collect();
            assert!(words.contains(&asset.package), "{} is no tool of its module file", asset.package);
            let pins = |pair: &[&str]| asset.package.starts_with(pair[0]) && pair[1] == asset.version;
            assert!(words.windows(2).any(pins), "{} is not pinned to {}", asset.package, asset.version);
        }
    }

    #[test]
    fn kubernetes_programs_report_the_version_that_they_are() {
        for asset in ALL.iter().filter(|asset| std::ptr::eq(asset.module, KUBE_APISERVER.module)) {
            assert!(asset.ldflags.contains(&format!("gitVersion={} ", asset.version)), "{}", asset.name);
        }
    }

    #[test]
    fn the_digest_tells_programs_apart_and_has_no_separator_to_slip_through() {
        assert_ne!(KUBE_APISERVER.digest(), KUBECTL.digest());
        assert_ne!(fnv1a(["ab", "c"].into_iter()), fnv1a(["a", "bc"].into_iter()));
    }
}
