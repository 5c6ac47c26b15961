//! What is rendered has the form that the API server asks for: kubeconform, with schemas made from the server's own description.
