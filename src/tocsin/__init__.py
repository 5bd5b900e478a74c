"""Tocsin: monitoring and alert management for hosting companies that run on WHMCS."""

__version__ = "0.1.0"
