//! A real etcd and kube-apiserver for the demo and the tests.
