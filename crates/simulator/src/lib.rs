//! A stand-in for CXone that people and tests can run: same wire, faults on demand, a live page.
