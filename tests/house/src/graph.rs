//! The crates of the workspace and what they bring in, as cargo resolves them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId};

/// The resolved workspace.
#[derive(Debug)]
pub struct Graph {
    metadata: Metadata,
}

impl Graph {
    /// Asks cargo, once for all tests of a file. Every crate that a build of this machine could need must be there; cargo
    /// fetches those that are not.
    ///
    /// # Panics
    /// Cargo cannot tell.
    #[must_use]
    pub fn load() -> &'static Self {
        static GRAPH: LazyLock<Graph> = LazyLock::new(|| {
            let metadata = MetadataCommand::new()
                .manifest_path(crate::files::root().join("Cargo.toml"))
                .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), host()])
                .exec();
            let remedy = "Run `cargo fetch`, which brings every crate that Cargo.lock names.";
            Graph { metadata: metadata.unwrap_or_else(|error| panic!("{error}\n{remedy}")) }
        });
        &GRAPH
    }

    /// The crates of the workspace, by name.
    #[must_use]
    pub fn members(&self) -> Vec<&Package> {
        let mut members = self.metadata.workspace_packages();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// The crates of one folder, `functions` for example.
    #[must_use]
    pub fn members_in(&self, folder: &str) -> Vec<&Package> {
        self.members().into_iter().filter(|member| self.folder(member).starts_with(&format!("{folder}/"))).collect()
    }

    /// A crate's folder, from the root.
    #[must_use]
    pub fn folder(&self, package: &Package) -> String {
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
        folder.strip_prefix(&self.metadata.workspace_root).unwrap_or(folder).to_string()
    }

    /// Every package that a build of the workspace or its tests contains.
    #[must_use]
    pub fn resolved(&self) -> Vec<&Package> {
        let roots: Vec<&PackageId> = self.metadata.workspace_members.iter().collect();
        self.closure(roots, &[DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development])
    }

    /// The names of everything that a build of this crate contains, its tests left out.
    ///
    /// # Panics
    /// There is no such crate.
    #[must_use]
    pub fn brings_in(&self, member: &str) -> BTreeSet<String> {
        let package = self.members().into_iter().find(|p| p.name.as_str() == member);
        let id = &package.unwrap_or_else(|| panic!("there is no crate `{member}`: correct the rule that names it")).id;
        let all = self.closure(vec![id], &[DependencyKind::Normal, DependencyKind::Build]);
        all.into_iter().filter(|p| p.id != *id).map(|p| p.name.to_string()).collect()
    }

    /// The features that a package is built with.
    #[must_use]
    pub fn features(&self, package: &Package) -> Vec<String> {
        self.node(&package.id).features.iter().map(ToString::to_string).collect()
    }

    fn node(&self, id: &PackageId) -> &Node {
        let resolve = self.metadata.resolve.as_ref().expect("cargo resolves unless told not to");
        resolve.nodes.iter().find(|node| node.id == *id).expect("every package has a node")
    }

    fn closure(&self, roots: Vec<&PackageId>, kinds: &[DependencyKind]) -> Vec<&Package> {
        let mut seen: BTreeMap<&PackageId, &Package> = BTreeMap::new();
        let mut open: Vec<&PackageId> = roots.iter().map(|id| &self.node(id).id).collect();
        while let Some(id) = open.pop() {
            let package = &self.metadata[id];
            if seen.insert(id, package).is_some() {
                continue;
            }
            let node = self.node(id);
            for edge in &node.deps {
                // Only what a workspace crate's own tests need counts as development.
                let wanted = edge.dep_kinds.iter().any(|k| kinds.contains(&k.kind));
                if wanted && is_built(package, node, &self.metadata[&edge.pkg]) {
                    open.push(&edge.pkg);
                }
            }
        }
        let mut packages: Vec<&Package> = seen.into_values().collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        packages
    }
}

/// Whether a dependency is really built. Cargo lists an optional one as soon as a feature speaks of it, be it only
/// `name?/feature`, which turns nothing on.
fn is_built(package: &Package, node: &Node, target: &Package) -> bool {
    let named: Vec<&Dependency> = package.dependencies.iter().filter(|d| d.name == target.name.as_str()).collect();
    named.iter().any(|dependency| {
        let name = dependency.rename.as_deref().unwrap_or(&dependency.name);
        !dependency.optional
            || node.features.iter().any(|on| {
                let brings = package.features.get(&**on).into_iter().flatten();
                brings.into_iter().any(|b| *b == format!("dep:{name}") || b.starts_with(&format!("{name}/")))
            })
    })
}

/// The triple of the machine that runs the tests: what other platforms would need is not fetched for them.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = std::process::Command::new(rustc).arg("-vV").output().expect("rustc is there: cargo runs this test");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc -vV names its host").to_owned()
}
