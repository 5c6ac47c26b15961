use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

/// Someone whom the API server knows by a token, and who may do what RBAC grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user name, such as `jane` or `system:serviceaccount:shop:operator`.
    pub name: String,
    /// Groups, such as `developers`. `system:authenticated` is added by the API server.
    pub groups: Vec<String>,
}

/// A user with the token that was made for it.
#[derive(Debug)]
pub(crate) struct Account {
    pub user: User,
    pub token: String,
}

impl Account {
    pub(crate) fn new(user: User) -> Result<Self> {
        ensure!(!user.name.is_empty(), "a user of a cluster needs a name");
        for text in user.groups.iter().chain([&user.name]) {
            let plain = !text.contains(|c: char| c.is_control() || "\",\\".contains(c));
            ensure!(
                plain,
                "the name {text:?} of a user or group holds a quote, a comma, a backslash or a control character: rename it"
            );
        }
        Ok(Self { user, token: Uuid::new_v4().simple().to_string() })
    }

    /// The one who may do everything.
    pub(crate) fn admin() -> Result<Self> {
        Self::new(User { name: "admin".into(), groups: vec!["system:masters".into()] })
    }

    /// The line of the API server's token file.
    pub(crate) fn token_line(&self) -> String {
        let User { name, groups } = &self.user;
        format!("{},\"{name}\",\"{name}\",\"{}\"\n", self.token, groups.join(","))
    }

    /// A kubeconfig that holds all it needs, so that it can be copied anywhere.
    pub(crate) fn kubeconfig(&self, server: &str, ca_pem: &str) -> String {
        let (ca, token, name) = (STANDARD.encode(ca_pem), &self.token, &self.user.name);
        format!(
            r#"apiVersion: v1
kind: Config
current-context: devcluster
contexts:
- name: devcluster
  context: {{cluster: devcluster, user: "{name}", namespace: default}}
clusters:
- name: devcluster
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: "{name}"
  user: {{token: "{token}"}}
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, groups: &[&str]) -> User {
        User { name: name.into(), groups: groups.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn a_token_line_quotes_the_list_of_groups() {
        let account = Account::new(user("system:serviceaccount:shop:operator", &["a", "b"])).unwrap();
        let name = "system:serviceaccount:shop:operator";
        assert_eq!(account.token_line(), format!("{},\"{name}\",\"{name}\",\"a,b\"\n", account.token));
    }

    #[test]
    fn a_name_that_would_break_the_token_file_is_refused() {
        assert!(Account::new(user("", &[])).is_err());
        assert!(Account::new(user("jane\nroot", &[])).is_err());
        assert!(Account::new(user("jane", &["a\",\"system:masters"])).is_err());
    }

    #[test]
    fn every_account_has_a_token_of_its_own() {
        assert_ne!(Account::admin().unwrap().token, Account::admin().unwrap().token);
    }
}
