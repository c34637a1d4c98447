//! Courier's SDK for browsers, for the demo page.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::json;

/// Where the page gets the SDK from: `web/node_modules`, or if there is none a public CDN.
#[derive(Clone, Debug)]
pub(crate) struct Sdk {
    /// By name, and with what is served of it; none of them for the CDN.
    files: Arc<BTreeMap<String, String>>,
    versions: Arc<BTreeMap<String, String>>,
}

impl Sdk {
    /// Looks into `web/node_modules`. Partly there is as good as not there.
    pub(crate) fn find() -> Self {
        Self::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("web/node_modules"))
    }

    fn of(folder: &Path) -> Self {
        let package: Package = serde_json::from_str(PACKAGE).expect("web/package.json is JSON");
        let files = package.dependencies.keys().map(|name| {
            let file = fs::read_to_string(folder.join(name).join(MODULE))?;
            Ok((name.clone(), file))
        });
        let files: std::io::Result<_> = files.collect();
        Self {
            files: Arc::new(files.unwrap_or_default()),
            versions: Arc::new(package.dependencies),
        }
    }

    /// What the SDK's modules call each other, and where they are.
    pub(crate) fn import_map(&self) -> String {
        let imports = self.versions.iter().map(|(name, version)| {
            let url = if self.files.is_empty() {
                format!("{CDN}/npm/{name}@{version}/{MODULE}")
            } else {
                format!("{PREFIX}{name}.js")
            };
            (name, url)
        });
        json!({ "imports": imports.collect::<BTreeMap<_, _>>() }).to_string()
    }

    /// What a content security policy has to allow beside the app, each with a space before it: of the
    /// CDN, where anybody may publish, these packages alone.
    pub(crate) fn sources(&self) -> String {
        if !self.files.is_empty() {
            return String::new();
        }
        let packages = self.versions.iter();
        let sources = packages.map(|(name, version)| format!(" {CDN}/npm/{name}@{version}/"));
        sources.collect()
    }

    /// A file of `web/node_modules`, by the path it is served at.
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        let name = path.strip_prefix(PREFIX)?.strip_suffix(".js")?;
        self.files.get(name).map(String::as_str)
    }
}

#[derive(Deserialize)]
struct Package {
    dependencies: BTreeMap<String, String>,
}

/// The versions, for both.
const PACKAGE: &str = include_str!("../web/package.json");
/// As packages of the SDK have it.
const MODULE: &str = "dist/index.mjs";
const PREFIX: &str = "/sdk/";
const CDN: &str = "https://cdn.jsdelivr.net";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_cdn_serves_what_is_not_here() {
        let sdk = Sdk::of(Path::new("/nowhere"));
        let map: Value = serde_json::from_str(&sdk.import_map()).unwrap();
        let url = map["imports"]["@trycourier/courier-js"].as_str().unwrap();
        assert!(url.starts_with("https://cdn.jsdelivr.net/npm/@trycourier/courier-js@"));
        assert!(url.ends_with("/dist/index.mjs"));
        let sources = sdk.sources();
        let sources: Vec<_> = sources.split(' ').skip(1).collect();
        let urls = map["imports"].as_object().unwrap().values();
        assert_eq!(sources.len(), urls.len());
        for (url, source) in urls.zip(sources) {
            let file = url.as_str().unwrap().strip_prefix(source);
            assert_eq!(file, Some(MODULE));
            assert!(source.ends_with('/'), "or it would be that file alone");
        }
        assert_eq!(sdk.file("/sdk/@trycourier/courier-js.js"), None);
    }

    #[test]
    fn nothing_but_the_sdk_is_served() {
        let folder = std::env::temp_dir().join(format!("courier-sdk-{}", std::process::id()));
        let package: Package = serde_json::from_str(PACKAGE).unwrap();
        for name in package.dependencies.keys() {
            let module = folder.join(name).join(MODULE);
            fs::create_dir_all(module.parent().unwrap()).unwrap();
            fs::write(module, name).unwrap();
        }
        let sdk = Sdk::of(&folder);
        fs::remove_dir_all(&folder).unwrap();
        let map: Value = serde_json::from_str(&sdk.import_map()).unwrap();
        for (name, url) in map["imports"].as_object().unwrap() {
            assert_eq!(sdk.file(url.as_str().unwrap()), Some(name.as_str()));
        }
        assert_eq!(sdk.sources(), "");
        for path in [
            "/sdk/",
            "/sdk/.js",
            "/sdk/../package.js",
            "/sdk/@trycourier/courier-js",
        ] {
            assert_eq!(sdk.file(path), None, "{path}");
        }
    }
}
