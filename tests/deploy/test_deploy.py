"""What runs Tidegate in earnest is right, and each check would say so if it were not: a mistake of each kind is planted, and found."""

import shutil

import pytest
from chart import chart, helm
from compose import balancer, compose
from contracts import asyncapi, openapi
from image import image, needed
from layout import layout
from monitoring import monitoring
from tools import HERE, ROOT

CHECKS = {check.__name__: check for check in (image, compose, balancer, chart, monitoring, layout, asyncapi, openapi)}
SOURCES = ("deploy", "docker-compose.yml", ".dockerignore", "schemas")
CHART = "deploy/helm/tidegate/"
GATEWAY, WORKER, TOPICS, HELPERS = (CHART + "templates/" + name for name in ("gateway.yaml", "worker.yaml", "topics.yaml", "_helpers.tpl"))
ASYNCAPI, OPENAPI = "schemas/asyncapi.yaml", "schemas/openapi.yaml"
ALERTS, BOARD = CHART + "files/alerts.yaml", CHART + "files/dashboard.json"

# check, file, what stands there, what shall stand there instead, a word of the finding
PLANTED = [
    ("image", "deploy/Dockerfile", "USER 65532:65532", "USER tidegate", "by number"),
    ("image", "deploy/Dockerfile", "USER 65532:65532\n", "", "by number"),
    ("image", "deploy/Dockerfile", 'ENTRYPOINT ["tidegate"]', "ENTRYPOINT tidegate", "ENTRYPOINT"),
    ("image", "deploy/Dockerfile", "FROM debian:${DEBIAN} AS build", "FROM debian AS build", "DL3006"),
    ("image", "deploy/Dockerfile", "COPY . .", "ADD . .", "DL3020"),
    ("image", "deploy/Dockerfile", "RUN make", "RUNN make", "missing whitespace"),
    ("image", ".dockerignore", "!core\n", "", "core/"),
    ("image", ".dockerignore", "!web/demo", "!web", "node_modules"),
    ("image", ".dockerignore", "*\n!Makefile", "!Makefile", "takes build/x"),
    ("compose", "docker-compose.yml", "retries: 5", "retrys: 5", "retrys"),
    ("compose", "docker-compose.yml", "kafka: {condition: service_healthy}", "kafkaa: {condition: service_healthy}", "kafkaa, which is no service"),
    ("compose", "docker-compose.yml", "kafka: {condition: service_healthy}", "redis: {condition: service_done}", "service_done"),
    ("compose", "docker-compose.yml", "kafka: {condition: service_healthy}", "keys: {condition: service_healthy}", "which nothing tells"),
    ("compose", "docker-compose.yml", "topics: {condition: service_completed_successfully}", "kafka: {condition: service_completed_successfully}", "begun anew each time"),
    ("compose", "docker-compose.yml", "TIDEGATE_KAFKA: kafka:19092", "TIDEGATE_KAFKA: kafak:19092", "kafak, which is no service"),
    ("compose", "docker-compose.yml", "networks: [front, back]", "networks: [front]", "shares no network"),
    ("compose", "docker-compose.yml", "./deploy/compose/haproxy.cfg", "./deploy/haproxy.cfg", "./deploy/haproxy.cfg"),
    ("compose", "docker-compose.yml", '"worker-2:/var/lib/tidegate"', '"worker-1:/var/lib/tidegate"', "worker-1 is not one worker's own"),
    ("compose", "docker-compose.yml", "volumes: [redis:/data]", "volumes: [radis:/data]", "radis"),
    ("compose", "docker-compose.yml", "  cap_drop: [ALL]\n", "", "keeps privileges"),
    ("compose", "docker-compose.yml", "[topics, --partitions,", "[topics, --partition,", "does not take TIDEGATE_PARTITION"),
    ("compose", "docker-compose.yml", "command: [topics,", "command: [topic,", "no command 'topic'"),
    ("balancer", "deploy/compose/haproxy.cfg", "default_backend gateways", "default_backend gateway", "gateway"),
    ("balancer", "deploy/compose/haproxy.cfg", "timeout tunnel 90s", "timeout tunel 90s", "tunel"),
    ("balancer", "docker-compose.yml", "GATEWAY_2: gateway-2:8080", "GATEWAY_TWO: gateway-2:8080", "haproxy.cfg"),
    ("chart", GATEWAY, "kind: Deployment", "kind: Deploymant", "Deploymant"),
    ("chart", HELPERS, "livenessProbe:", "livenessprobe:", "livenessprobe"),
    ("chart", HELPERS, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "keeps privileges"),
    ("chart", HELPERS, "automountServiceAccountToken: false", "automountServiceAccountToken: true", "no use for"),
    ("chart", HELPERS, "value: /etc/tidegate/keys/link", "value: /etc/tidegate/link", "where nothing is mounted"),
    ("chart", GATEWAY, "{name: http, containerPort: 8080}", "{name: https, containerPort: 8080}", "http is no port"),
    ("chart", GATEWAY, "  minReplicas: {{", "  replicas: {{", "HorizontalPodAutoscaler"),
    ("chart", GATEWAY, "{{- if not .Values.gateway.autoscaling.enabled }}", "{{- if true }}", "undo the scaling"),
    ("chart", GATEWAY, "      volumes:\n", "      volumess:\n", "volumess"),
    ("chart", GATEWAY, "{{ add .Values.gateway.drainSeconds 20 }}", "{{ add .Values.gateway.drainSecond 20 }}x", "terminationGracePeriodSeconds"),
    ("chart", WORKER, "- {name: data, mountPath: /var/lib/tidegate}", "- {name: date, mountPath: /var/lib/tidegate}", "date, which is no volume"),
    ("chart", WORKER, "kind: StatefulSet, name: {{ $name }}}", "kind: StatefulSet, name: worker}", "scales worker, which is not there"),
    ("chart", WORKER, "maxReplicaCount:", "maxReplicasCount:", "maxReplicasCount"),
    ("chart", WORKER, "value: $(POD_IP)", "value: $(PODIP)", "PODIP, which is not set before it"),
    ("chart", TOPICS, "- --partitions=", "- --partition=", "TIDEGATE_PARTITION"),
    ("chart", CHART + "templates/networkpolicy.yaml", "[{port: link, protocol: TCP}]", "[{port: links, protocol: TCP}]", "links is no port"),
    ("chart", CHART + "templates/metrics.yaml", "{port: http, path: /metrics, interval:", "{port: http, path: /metrics, every:", "every"),
    ("chart", CHART + "values.yaml", "logLevel: info", "logLevel: loud", "/logLevel"),
    ("chart", CHART + "values.yaml", "  replicas: 2\n", "  replica: 2\n", "replica"),
    ("chart", CHART + "Chart.yaml", "apiVersion: v2", "apiVersion: v9", "apiVersion"),
    ("monitoring", ALERTS, "tidegate_worker_lag_records > 10000", "tidegate_worker_lag > 10000", "no metric tidegate_worker_lag"),
    ("monitoring", ALERTS, "expr: rate(tidegate_pushes_total[5m])", "expr: rate(tidegate_pushes_total)", "expected type range vector"),
    ("monitoring", ALERTS, "tidegate_worker_lag_records > 10000", "tidegate_worker_lag_records > 30000", "TidegateWorkerBehind"),
    ("monitoring", ALERTS, "increase(tidegate_worker_dead_letters_total[15m]) > 0", "tidegate_worker_dead_letters_total > 0", "TidegateDeadLetters"),
    ("monitoring", ALERTS, "severity: info", "severity: low", "critical, warning or info"),
    ("monitoring", ALERTS, "alert: TidegateDown", "alert: TidegateGone", "TidegateGone is not tried"),
    ("monitoring", BOARD, "tidegate_deliveries_total{", "tidegate_delivered_total{", "no metric tidegate_delivered_total"),
    ("monitoring", BOARD, "rate(tidegate_deliveries_total", "rat(tidegate_deliveries_total", "unknown function"),
    ("monitoring", BOARD, "$__rate_interval", "$__rate", "$__rate is no variable"),
    ("monitoring", BOARD, '"w": 8,', '"w": 12,', "lies over another panel"),
    ("monitoring", BOARD, '"panels": [', '"panels": ', "dashboard.json"),
    ("monitoring", "deploy/compose/prometheus.yml", '"worker-2:8080"', '"worker-3:8080"', "does not ask worker-2"),
    ("monitoring", "deploy/compose/prometheus.yml", "scrape_configs", "scrape_config", "scrape_config"),
    ("layout", "docker-compose.yml", "name: tidegate\n", "name: tidegate\nname: other\n", "duplication of key"),
    ("layout", CHART + "values.yaml", "enabled: true\n", "enabled: yes\n", "truthy"),
    ("layout", GATEWAY, "  type: {{ .Values.gateway.service.type }}", "  type: {{ .Values.gateway.service.type }}\n  type: ClusterIP", "duplication of key"),
    ("asyncapi", ASYNCAPI, "./frames/gateway/ack.schema.json", "./frames/gateway/acked.schema.json", "acked.schema.json"),
    ("asyncapi", ASYNCAPI, "- $ref: \"#/channels/devices/messages/hello\"", "- $ref: \"#/channels/devices/messages/hallo\"", "hallo"),
    ("asyncapi", ASYNCAPI, "action: receive", "action: listen", "action"),
    ("asyncapi", ASYNCAPI, "./frames/gateway/bye.schema.json", "./frames/gateway/pong.schema.json", "bye, and its payload is a pong"),
    ("asyncapi", ASYNCAPI, "address: dead-letter", "address: dead-letters", "not both made and described"),
    ("asyncapi", ASYNCAPI, "max.message.bytes: 4194304", "max.message.bytes: 1048576", "is 4194304, not 1048576"),
    ("asyncapi", "schemas/frames/gateway/ack.schema.json", '"type": "object"', '"type": "objekt"', "ack.schema.json"),
    ("asyncapi", "schemas/frames/gateway/ack.schema.json", '"required"', '"requires"', "requires"),
    ("asyncapi", "schemas/examples/valid/gateway/ack.json", '"id"', '"ID"', "is said to be valid"),
    ("openapi", OPENAPI, "frames/gateway/closed.schema.json", "frames/gateway/close.schema.json", "close.schema.json leads nowhere"),
    ("openapi", OPENAPI, "common.schema.json#/$defs/cursor", "common.schema.json#/$defs/curser", "leads nowhere"),
    ("openapi", OPENAPI, "operationId: docs", "operationId: sync", "sync"),
    ("openapi", OPENAPI, "  /v1/users/{user}/presence:", "  /v1/users/{name}/presence:", "name"),
    ("openapi", OPENAPI, "    OtherLog:\n      type: object", "    OtherLog:\n      type: objekt", "objekt"),
    ("openapi", OPENAPI, "          description: A page\n", "", "description"),
    ("openapi", OPENAPI, "schemas/UserPresence", "schemas/Presence", "nobody refers to schemas/UserPresence"),
]


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_right(check):
    assert CHECKS[check](ROOT) == []


@pytest.mark.parametrize("check,file,old,new,word", PLANTED, ids=[f"{check}: {old.strip()} -> {new.strip()}"[:90] for check, _, old, new, _ in PLANTED])
def test_a_planted_mistake_is_found(tmp_path, check, file, old, new, word):
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name)
        elif source.exists():
            shutil.copy(source, tmp_path / name)
    text = (tmp_path / file).read_text()
    assert old in text, f"{file} does not have {old!r} any more: plant another"
    (tmp_path / file).write_text(text.replace(old, new, 1))
    found = "\n".join(CHECKS[check](tmp_path))
    assert word in found, found


def test_the_image_has_the_packages_of_every_library_that_the_binary_names():
    libraries, held = needed()
    assert "librdkafka.so.1" in libraries
    assert libraries - held == set()
    assert "libwebsockets-evlib_uv.so" in held  # opened at run time


# what the values say, a word of the refusal
REFUSED = [
    ("kafka.brokers=", "kafka.brokers: host:port,host:port"),
    ("kafka.brokers=kafka", "kafka/brokers"),
    ("redis.servers=", "redis.servers: host:port"),
    ("secrets.existingSecret=", "secrets.existingSecret, or secrets.jwt"),
    ("gateway.replicas=0", "gateway/replicas"),
    ("gateway.replica=3", "replica"),
    ("worker.volume.size=lots", "worker/volume/size"),
    ("worker.keda.enabled=true,worker.keda.maxReplicas=65", "above topics.partitions (64)"),
    ("gateway.ingress.enabled=true", "gateway.ingress.host"),
    ("image.digest=sha256:12", "image/digest"),
]


@pytest.mark.parametrize("values,word", REFUSED)
def test_values_that_make_no_sense_are_refused(values, word):
    done = helm("template", "trial", ROOT / "deploy/helm/tidegate", "--values", HERE / "values/least.yaml", "--set", values)
    assert done.returncode != 0
    assert word in done.stderr.replace("'", "").replace("\n", " ") or word.replace("/", ".") in done.stderr, done.stderr
