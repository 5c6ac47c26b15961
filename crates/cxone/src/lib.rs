//! The CXone client: token, budget, wire types and what each answer means.
