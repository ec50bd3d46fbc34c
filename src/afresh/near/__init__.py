"""The near tier: a bounded part of the cache inside the process, kept coherent by what the server pushes."""
