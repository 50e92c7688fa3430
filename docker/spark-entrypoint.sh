#!/bin/sh
# Kubernetes starts a pod with `driver` or `executor` and says the rest in variables; any other words are a command.
set -eu
case "${1:-}" in
  driver)
    shift
    exec "$SPARK_HOME/bin/spark-submit" --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" \
      --deploy-mode client "$@"
    ;;
  executor)
    shift
    # Spark numbers its Java options: SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1 and so on; Java wants them quoted.
    env | sed -n 's/[\"]/\\&/g; s/^SPARK_JAVA_OPT_[0-9]*=\(.*\)/"\1"/p' > /tmp/java-options
    exec "$JAVA_HOME/bin/java" @/tmp/java-options -Xms"$SPARK_EXECUTOR_MEMORY" -Xmx"$SPARK_EXECUTOR_MEMORY" \
      -cp "$SPARK_HOME/jars/*" org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
      --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
      --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
      --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
  *) exec "$@" ;;
esac
