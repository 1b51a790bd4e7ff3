# shellcheck shell=bash
# A certificate authority for one cluster's lifetime, and who may speak to whom.

pki() { # SERVER-URL ADDRESS NODES
  local server=$1 address=$2 n
  mkdir -m 700 "$PKI"
  printf '[req]\ndistinguished_name=dn\n[dn]\n' >"$PKI/openssl.cnf"
  certify ca /CN=testbed -addext basicConstraints=critical,CA:TRUE
  certify_by_ca apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$address,IP:$SERVICE_NET.0.1"
  certify_by_ca kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  certify_by_ca front-proxy /CN=front-proxy-client
  certify_by_ca admin /O=system:masters/CN=admin
  kubeconfig admin "$server"
  certify_by_ca manager /CN=system:kube-controller-manager
  kubeconfig manager "$server"
  if [ "$3" != 0 ]; then
    certify_by_ca scheduler /CN=system:kube-scheduler
    kubeconfig scheduler "$server"
    certify_by_ca proxy /CN=system:kube-proxy
    kubeconfig proxy "$server"
    for n in $(seq "$3"); do
      certify_by_ca "node$n" "/O=system:nodes/CN=system:node:node$n" "DNS:node$n,IP:$(node_ip "$n")"
      kubeconfig "node$n" "$server"
    done
  fi
  openssl ecparam -genkey -name prime256v1 -noout -out "$PKI/sa.key"
  openssl ec -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub" 2>/dev/null
}

certify() { # NAME SUBJECT OPTIONS...
  local name=$1 subject=$2; shift 2
  openssl req -config "$PKI/openssl.cnf" -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -keyout "$PKI/$name.key" -out "$PKI/$name.crt" -subj "$subject" "$@" 2>/dev/null
}
certify_by_ca() { # NAME SUBJECT [SAN]
  certify "$1" "$2" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -addext basicConstraints=critical,CA:FALSE \
    -addext extendedKeyUsage=serverAuth,clientAuth ${3:+-addext "subjectAltName=$3"}
}

kubeconfig() { # NAME SERVER-URL: from certificate NAME
  (
    umask 077
    cat >"$RUN/$1.kubeconfig" <<E
apiVersion: v1
kind: Config
current-context: testbed
contexts: [{name: testbed, context: {cluster: testbed, user: $1}}]
clusters:
- {name: testbed, cluster: {server: "$2", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}
users:
- {name: $1, user: {client-certificate-data: $(base64 -w0 "$PKI/$1.crt"), client-key-data: $(base64 -w0 "$PKI/$1.key")}}
E
  )
}
