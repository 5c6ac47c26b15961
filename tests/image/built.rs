//! The image of this checkout, built in two places. Where both are fresh, as `make test` leaves them, that takes a second.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use devcluster::assets::{IMAGE, Places};
use serde_json::Value;
use tempfile::TempDir;

/// The image that `make image` writes, from the folder that it builds in.
pub static ONCE: LazyLock<Built> = LazyLock::new(|| Built::new("image"));
/// The same from another folder.
pub static AGAIN: LazyLock<Built> = LazyLock::new(|| Built::new("image-again/in/another/folder"));

/// What `image/build` has written.
pub struct Built {
    folder: TempDir,
    /// What it said of the layout, after it had read every blob of it.
    pub said: String,
}

impl Built {
    fn new(place: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Places::from_env().unwrap().cache;
        let output = Command::new(root().join("image/build"))
            .arg(folder.path())
            .arg(cache.with_file_name(place))
            .env("IMAGE_TOOL", IMAGE.path().unwrap())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        Self { folder, said: String::from_utf8(output.stdout).unwrap() }
    }

    /// Where the layout is.
    pub fn layout(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// A file beside the layout.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// The index of all platforms.
    pub fn index(&self) -> Value {
        let top: Value = serde_json::from_str(&self.file("image/index.json")).unwrap();
        assert_eq!(top["manifests"].as_array().unwrap().len(), 1, "what copies a layout takes its one entry");
        self.blob(&top["manifests"][0])
    }

    /// The manifest for the machine that this is.
    pub fn manifest(&self) -> Value {
        let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let index = self.index();
        let mut all = index["manifests"].as_array().unwrap().iter();
        self.blob(all.find(|each| each["platform"]["architecture"] == architecture).expect(architecture))
    }

    /// The configuration of that image.
    pub fn config(&self) -> Value {
        self.blob(&self.manifest()["config"])
    }

    fn blob(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(&std::fs::read(self.blob_path(descriptor)).unwrap()).unwrap()
    }

    /// Where the bytes are that a descriptor tells of.
    pub fn blob_path(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap();
        self.layout().join("blobs").join(digest.replace(':', "/"))
    }

    /// Writes the files of the image into a folder.
    pub fn unpack(&self, into: &Path) {
        for layer in self.manifest()["layers"].as_array().unwrap() {
            let unpacked =
                Command::new("tar").arg("-xzf").arg(self.blob_path(layer)).arg("-C").arg(into).status();
            assert!(unpacked.unwrap().success());
        }
    }
}

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
