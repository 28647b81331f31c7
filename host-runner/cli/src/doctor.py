# What `wasisocket doctor` asks of the guest: one line for each fact.

import sys

print("Python", sys.version.split()[0], "on", sys.platform)
print("_wasisocket" in sys.builtin_module_names)
try:
    import wasisocket  # noqa: F401
except ImportError as error:
    print(error)
else:
    print("importable")
