use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::Asset;
use crate::go_build;
use crate::progress::Progress;

/// Where programs are looked for.
#[derive(Debug, Clone)]
pub struct Places {
    /// A folder with ready programs (`KUBEBUILDER_ASSETS`), looked at first.
    pub given: Option<PathBuf>,
    /// The folder of our own, in the user's cache folder, that builds go to.
    pub cache: PathBuf,
}

impl Places {
    /// What the environment says: `KUBEBUILDER_ASSETS`, and `XDG_CACHE_HOME` or `HOME`.
    ///
    /// # Errors
    /// Where neither `XDG_CACHE_HOME` nor `HOME` is set.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    fn from_vars(var: impl Fn(&str) -> Option<PathBuf>) -> Result<Self> {
        // The XDG specification says that a relative path is to be ignored.
        let xdg = var("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let cache = xdg
            .or_else(|| var("HOME").map(|home| home.join(".cache")))
            .context("no cache folder: set HOME or XDG_CACHE_HOME")?;
        Ok(Self { given: var("KUBEBUILDER_ASSETS"), cache: cache.join("dialer-operator/devcluster") })
    }

    /// The path of a program, from the first place that has it, built where none has.
    ///
    /// # Errors
    /// Where `KUBEBUILDER_ASSETS` names no folder, Go is missing or too old, or the build fails.
    pub fn find_or_build(&self, asset: &Asset) -> Result<PathBuf> {
        self.find_or(asset, go_build::build)
    }

    fn find_or(
        &self,
        asset: &Asset,
        build: impl FnOnce(&Asset, &Path) -> Result<PathBuf>,
    ) -> Result<PathBuf> {
        if let Some(given) = self.given(asset)? {
            return Ok(given);
        }
        let cached = self.cached(asset);
        if cached.is_file() {
            return Ok(cached);
        }
        let folder = self.folder(asset);
        fs::create_dir_all(&folder)
            .with_context(|| format!("can't create the cache folder {}", folder.display()))?;
        let _lock = lock(&folder.join("lock"), asset)?;
        // Who held the lock before us may have built it.
        if !cached.is_file() {
            let workshop = tempfile::Builder::new().prefix("build-").tempdir_in(&folder);
            let workshop =
                workshop.with_context(|| format!("can't create a folder in {}", folder.display()))?;
            let finished = build(asset, workshop.path())?;
            // Others look without the lock: the program appears whole or not at all.
            fs::rename(finished, &cached)
                .with_context(|| format!("can't move the finished build to {}", cached.display()))?;
        }
        Ok(cached)
    }

    fn given(&self, asset: &Asset) -> Result<Option<PathBuf>> {
        let Some(folder) = &self.given else { return Ok(None) };
        let advice = "point it to a folder with kube-apiserver and etcd, or unset it";
        ensure!(folder.is_dir(), "KUBEBUILDER_ASSETS is {}, which is no folder: {advice}", folder.display());
        Ok(Some(folder.join(asset.name)).filter(|program| program.is_file()))
    }

    fn cached(&self, asset: &Asset) -> PathBuf {
        self.folder(asset).join(asset.name)
    }

    fn folder(&self, asset: &Asset) -> PathBuf {
        self.cache.join(format!("{}-{}-{}", asset.name, asset.version, asset.digest()))
    }
}

/// Holds off others who would build the same program, until the file that is returned is dropped. The kernel
/// lets go of the lock of a process that dies.
fn lock(path: &Path, asset: &Asset) -> Result<File> {
    let failed = || format!("can't lock {}", path.display());
    let file = File::create(path).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let _progress = Progress::start(format!(
                "waiting for {}, which another process or thread is building",
                asset.name
            ));
            file.lock().with_context(failed)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::super::{ETCD, KUBE_APISERVER};
    use super::*;

    fn no_build(asset: &Asset, _: &Path) -> Result<PathBuf> {
        panic!("{} is built, though there is one", asset.name)
    }

    fn write(workshop: &Path) -> Result<PathBuf> {
        let program = workshop.join("program");
        fs::write(&program, "built")?;
        Ok(program)
    }

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn a_given_program_comes_before_a_cached_one_and_that_before_a_build() {
        let folder = tempfile::tempdir().unwrap();
        let mut places = Places { given: None, cache: folder.path().join("cache") };
        let built = places.find_or(&ETCD, |_, workshop| write(workshop)).unwrap();
        assert_eq!(fs::read_to_string(&built).unwrap(), "built");
        assert_eq!(places.find_or(&ETCD, no_build).unwrap(), built);

        let given = folder.path().join("given");
        touch(&given.join("etcd"));
        places.given = Some(given.clone());
        assert_eq!(places.find_or(&ETCD, no_build).unwrap(), given.join("etcd"));
    }

    #[test]
    fn a_program_that_the_given_folder_lacks_is_looked_for_in_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { given: Some(folder.path().to_owned()), cache: folder.path().join("cache") };
        touch(&places.cached(&KUBE_APISERVER));
        assert_eq!(places.find_or(&KUBE_APISERVER, no_build).unwrap(), places.cached(&KUBE_APISERVER));
    }

    #[test]
    fn a_given_folder_that_does_not_exist_is_an_error_not_a_build() {
        let places = Places { given: Some("/no/such/folder".into()), cache: "/no/such/cache".into() };
        let error = places.find_or(&ETCD, no_build).unwrap_err().to_string();
        assert!(error.contains("KUBEBUILDER_ASSETS is /no/such/folder"), "{error}");
    }

    #[test]
    fn a_failed_build_leaves_nothing_that_looks_like_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { given: None, cache: folder.path().to_owned() };
        assert!(places.find_or(&ETCD, |_, _| anyhow::bail!("no")).is_err());
        assert!(!places.cached(&ETCD).exists());
    }

    #[test]
    fn of_many_who_ask_at_once_one_builds_and_all_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { given: None, cache: folder.path().to_owned() };
        let (builds, together) = (AtomicUsize::new(0), Barrier::new(4));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    let found = places.find_or(&ETCD, |_, workshop| {
                        builds.fetch_add(1, Ordering::SeqCst);
                        let written = write(workshop);
                        assert!(!places.cached(&ETCD).exists(), "a program is there before it is whole");
                        written
                    });
                    assert_eq!(fs::read_to_string(found.unwrap()).unwrap(), "built");
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
    }

    #[test]
    fn the_cache_folder_follows_the_xdg_specification() {
        let places = |vars: &[(&str, &str)]| {
            Places::from_vars(|name| {
                vars.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        let cache = |vars: &[(&str, &str)]| places(vars).unwrap().cache;
        assert_eq!(cache(&[("HOME", "/h")]), Path::new("/h/.cache/dialer-operator/devcluster"));
        assert_eq!(
            cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]),
            Path::new("/c/dialer-operator/devcluster")
        );
        assert_eq!(
            cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "relative")]),
            Path::new("/h/.cache/dialer-operator/devcluster")
        );
        assert!(places(&[]).is_err());
    }
}
