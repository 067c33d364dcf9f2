"""Adapters for HTTP clients other than httpx2: a module for each, named for its library, which it imports.

They share one rule for hosts and one for 401s (`valetkey.road`); what stands here is each library's way of sending.
"""
