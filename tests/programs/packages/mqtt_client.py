"""paho-mqtt, without its thread, and a broker. Argument: its port."""

import sys
import time

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTErrorCode

received = []


def connected(client, userdata, flags, reason, properties):
    print("connected:", reason)
    client.subscribe("some/topic")


def subscribed(client, userdata, mid, reasons, properties):
    client.publish("some/topic", b"once", qos=0)
    client.publish("some/topic", b"confirmed", qos=1)
    client.publish("some/topic", bytes(100_000), qos=1)


def message(client, userdata, message):
    received.append(len(message.payload))
    if len(received) == 3:
        client.disconnect()


client = Client(CallbackAPIVersion.VERSION2)
client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, message
client.connect("127.0.0.1", int(sys.argv[1]))
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    if client.loop(1) != MQTTErrorCode.MQTT_ERR_SUCCESS:
        break
print(received)
