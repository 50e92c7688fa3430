# A node of a Spark cluster, or the driver of a build. Build from the repository's root:
#   docker build -f docker/spark.Dockerfile -t kgcorpus-spark .
FROM python:3.11.14-slim-bookworm

RUN apt-get update \
 && apt-get install --yes --no-install-recommends openjdk-17-jre-headless=17.* \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s "$(dirname "$(dirname "$(readlink -f /usr/bin/java)")")" /opt/java
ENV JAVA_HOME=/opt/java \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1

WORKDIR /opt/kgcorpus
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY kgcorpus kgcorpus
COPY pipelines pipelines
COPY trainer trainer
RUN pip install -c constraints.txt '.[spark,importance,report,store,s3]'
ENV SPARK_HOME=/usr/local/lib/python3.11/site-packages/pyspark \
    SPARK_WORKER_DIR=/tmp/spark-work \
    PYSPARK_PYTHON=/usr/local/bin/python3

COPY --chmod=755 docker/spark-entrypoint.sh /opt/entrypoint.sh
RUN useradd --uid 10001 --create-home kgcorpus
USER 10001
WORKDIR /home/kgcorpus
ENTRYPOINT ["/opt/entrypoint.sh"]
CMD ["kgcorpus", "--help"]
