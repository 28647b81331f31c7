"""A Flask application, run by Flask's own server as its documentation shows. Its log contains the port."""

import sys

from flask import Flask, jsonify, render_template_string, request, session

app = Flask(__name__)
app.secret_key = "secret"


@app.get("/greet/<name>")
def greet(name):
    return jsonify(name=name, query=request.args)


@app.post("/length")
def length():
    return str(len(request.get_data()))


@app.get("/stream")
def stream():
    return (f"{number}\n" for number in range(3)), {"Content-Type": "text/plain"}


@app.get("/fail")
def fail():
    raise ValueError("in a handler")


@app.get("/template")
def template():
    return render_template_string("<p>{{ text }}</p>", text=request.args["text"])


@app.post("/form")
def form():
    session["name"] = request.form["name"]
    return session["name"]


app.run(port=0, threaded=sys.argv[1] == "threaded")
