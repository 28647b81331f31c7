# Lines to append to CPython's Makefile, after configure: programs then take about a sixth less time.
#
# What is measured is pyperformance, guest against native CPython: `cargo xtask bench python`.

# Objects and the interpreter's inner functions are optimised across files, once: the result is one object, and a
# python.wasm with another library is linked as fast as before. ceval.o stays outside, because the function that all
# others would be inlined into becomes slower.
WASISOCKET_LTO = $(filter $(OBJECT_OBJS) $(PYTHON_OBJS), $(OBJECT_OBJS) $(addprefix Python/, \
	_warnings.o bltinmodule.o ceval_gil.o context.o critical_section.o dtoa.o errors.o formatter_unicode.o frame.o \
	gc.o gc_gil.o getargs.o hashtable.o import.o intrinsics.o lock.o modsupport.o mysnprintf.o pyhash.o pymath.o \
	pystate.o pystrtod.o specialize.o sysmodule.o traceback.o))

# How often each branch is taken in common programs: profile/counts.txt. A function that has changed since then is
# compiled as if nothing were known of it.
WASISOCKET_PROFILE = $(if $(wildcard wasisocket.profdata), -fprofile-use=wasisocket.profdata \
	-Wno-profile-instr-out-of-date -Wno-profile-instr-unprofiled -Wno-backend-plugin)

$(filter-out Python/ceval.o, $(LIBRARY_OBJS)): CFLAGS_NODIST += $(WASISOCKET_PROFILE)
$(WASISOCKET_LTO): CFLAGS_NODIST += -flto

# Threads take turns where ceval.c looks whether something is to be done.
Python/ceval.o: CFLAGS_NODIST += -iquote $(srcdir)/Modules/ceval

ifneq ($(WASISOCKET_LTO),)
wasisocket-core.o: $(WASISOCKET_LTO)
	$(dir $(firstword $(CC)))wasm-ld -r --lto-O3 -o $@ $^

LINK_PYTHON_OBJS = wasisocket-core.o $(filter-out $(WASISOCKET_LTO), $(LIBRARY_OBJS))
$(BUILDPYTHON): wasisocket-core.o
endif
