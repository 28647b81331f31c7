"""Compiles functions a second time as generators, which can be suspended wherever they call something.

The generator form of a function is compiled from its source. Where the function calls f(x), the generator form has
"yield from call(f, x)", and call() runs the generator form of f, if there is one. C functions, generators and
coroutines have none and are called directly, and so is everything inside a comprehension or an operator.
"""

import __future__
import abc
import ast
import builtins
import functools
import inspect
import pickle
import sys
import types

# Only functions of these modules and packages get a generator form: others never have to wait.
TRANSFORMED = {
    "asyncio", "concurrent", "ftplib", "http", "imaplib", "poplib", "queue", "_pyio", "selectors", "smtplib",
    "socket", "socketserver", "ssl", "test", "threading", "urllib", "wsgiref", "xmlrpc",
}

# These inspect the frame of their caller, so calls of them stay as they are.
UNCHANGED = {"super", "locals", "globals", "vars", "dir", "eval", "exec"}

# A with statement as the language reference expands it. The dots are replaced by the statement's own parts.
WITH = """
_manager_{0}_ = ...
_value_{0}_ = yield from _enter_(_manager_{0}_)
_failed_{0}_ = False
try:
    try:
        _target_{0}_ = _value_{0}_
        ...
    except:
        _failed_{0}_ = True
        if not (yield from _leave_failed_(_manager_{0}_)):
            raise
finally:
    if not _failed_{0}_:
        yield from _leave_(_manager_{0}_)
"""

_NOT_SUITABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_FUTURE = functools.reduce(int.__or__, (getattr(__future__, name).compiler_flag
                                        for name in __future__.all_feature_names))

# Generator functions written by hand. The key is the function that they replace, or type and name of a C method.
by_hand = {}


class Done:
    """A finished generator with the result of a direct call. The call is made outside a generator, which would turn
    a StopIteration into a RuntimeError."""

    def __init__(self, result):
        self._result = result

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self._result)


def call(function, /, *args, **kwargs):
    """A generator that calls a function, in its generator form if there is one."""
    while True:
        if isinstance(function, types.MethodType):
            args = function.__self__, *args
            function = function.__func__
        elif isinstance(function, functools.partial):
            args = *function.args, *args
            kwargs = function.keywords | kwargs
            function = function.func
        else:
            break
    if isinstance(function, types.BuiltinMethodType):
        if form := by_hand.get((type(function.__self__), function.__name__)):
            return form(function.__self__, *args, **kwargs)
    elif form := generator_form(function):
        return form(*args, **kwargs)
    elif type(function) in {type, abc.ABCMeta}:
        if generator_form(function.__init__):
            return make(function, *args, **kwargs)
    elif form := generator_form(getattr(type(function), "__call__", None)):
        return form(function, *args, **kwargs)
    return Done(function(*args, **kwargs))


def make(cls, /, *args, **kwargs):
    """The same as type.__call__."""
    if cls.__new__ is object.__new__:
        made = object.__new__(cls)
    else:
        made = yield from call(cls.__new__, cls, *args, **kwargs)
    if isinstance(made, cls):
        yield from call(type(made).__init__, made, *args, **kwargs)
    return made


def enter(manager):
    return call(type(manager).__enter__, manager)


def leave(manager):
    return call(type(manager).__exit__, manager, None, None, None)


def leave_failed(manager):
    return call(type(manager).__exit__, manager, *sys.exc_info())


# The names that generator forms use. They share the globals of the original function.
for function in [call, enter, leave, leave_failed]:
    setattr(builtins, f"_{function.__name__}_", function)


def generator_form(function):
    if not isinstance(function, types.FunctionType):
        return None
    if function in by_hand:
        return by_hand[function]
    if function.__globals__.get("__name__", "").partition(".")[0] not in TRANSFORMED:
        return None
    code = generator_code(function.__code__)
    if code is None:
        return None
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    form = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__,
                              tuple(cells[name] for name in code.co_freevars))
    form.__kwdefaults__ = function.__kwdefaults__
    return form


@functools.cache
def generator_code(code):
    if code.co_flags & _NOT_SUITABLE:
        return None
    node, scope = find_source(code)
    if node is None:
        return None
    rewrite = Rewrite(code.co_varnames[0] if code.co_argcount else None)
    # The defaults of the original function.
    node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
    node.args.kw_defaults = [default and ast.Constant(None) for default in node.args.kw_defaults]
    if isinstance(node, ast.Lambda):
        node.body = rewrite.visit(node.body)
        statement = ast.Expr(node)
    else:
        node.body = rewrite.visit(ast.Module(node.body, [])).body
        node.decorator_list = []
        node.returns = None
        statement = node
    if not rewrite.changed:
        return None

    # The code is compiled inside a class of the same name, for __private names and super, and inside functions with
    # the variables of its closure.
    outer = [name for name in code.co_freevars if name != "__class__"]
    around = ast.parse("def around(): pass").body[0]
    around.body += [ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)) for name in outer]
    if scope:
        if scope not in outer:
            around.body.append(ast.Global([scope]))
        statement = ast.ClassDef(scope, bases=[], keywords=[], body=[statement], decorator_list=[], type_params=[])
    around.body.append(statement)
    tree = ast.fix_missing_locations(ast.Module([around], []))
    found = compile(tree, code.co_filename, "exec", code.co_flags & _FUTURE, dont_inherit=True)
    for _ in range(3 if scope else 2):
        found = next(constant for constant in found.co_consts if isinstance(constant, types.CodeType))
    return found


def find_source(code):
    """The function's node in the syntax tree of its file, and the name of its class."""
    found = [(pickle.loads(node), scope) for node, scope
             in functions_in(code.co_filename).get((code.co_name, code.co_firstlineno), [])]
    if len(found) > 1:  # Several lambdas in one line.
        begins = {(line, column) for line, _, column, _ in code.co_positions()}
        found = [(node, scope) for node, scope in found
                 if isinstance(node, ast.Lambda) and (node.body.lineno, node.body.col_offset) in begins]
    return found[0] if len(found) == 1 else (None, None)


@functools.cache
def functions_in(path):
    """All functions of a file by name and first line, each with the name of its class.

    They are pickled because tests collect garbage often, which is slow with hundreds of thousands of nodes.
    """
    try:
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return {}
    found = {}

    def visit(node, scope):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                found.setdefault((child.name, first), []).append((pickle.dumps(child), scope))
            elif isinstance(child, ast.Lambda):
                found.setdefault(("<lambda>", child.lineno), []).append((pickle.dumps(child), scope))
            visit(child, child.name if isinstance(child, ast.ClassDef) else scope)

    visit(tree, None)
    return found


class Rewrite(ast.NodeTransformer):
    """Replaces the calls and with statements in a function's own code by their generator forms."""

    def __init__(self, first):
        self.changed = False
        self._first = first
        self._managers = 0

    def _as_it_is(self, node):
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _as_it_is
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _as_it_is

    def visit_Call(self, node):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        self.generic_visit(node)
        if name == "super" and not node.args:
            node.args = [ast.Name("__class__", ast.Load()), ast.Name(self._first, ast.Load())]
        if name in UNCHANGED:
            return node
        self.changed = True
        generator = ast.Call(ast.Name("_call_", ast.Load()), [node.func, *node.args], node.keywords)
        return ast.copy_location(ast.YieldFrom(generator), node)

    def visit_With(self, node):
        self.changed = True
        self.generic_visit(node)
        body = node.body
        for item in reversed(node.items):
            self._managers += 1
            template = ast.parse(WITH.format(self._managers))
            for part in ast.walk(template):
                ast.copy_location(part, node)
            start, _, _, outer = template.body
            start.value = item.context_expr
            inner = outer.body[0]
            if item.optional_vars:
                inner.body[0].targets = [item.optional_vars]
            inner.body[1:] = body
            body = template.body
        return body
