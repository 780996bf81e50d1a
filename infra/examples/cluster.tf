# One cluster from OpenTofu (or Terraform). Pilothouse has no provider of its own: a stack with one custom resource carries the
# spec, so a mistake in it fails the apply, and a destroy takes the cluster down. The control plane is deployed already, as
# the stack `pilothouse`, in the same account and Region.

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "name" {
  type    = string
  default = "acme-prod"
}

variable "vpc_id" { type = string }
variable "subnet_ids" { type = list(string) }
variable "host" { type = string }
variable "peering_connection_id" { type = string }
variable "peer_account" { type = string }
variable "peer_vpc" { type = string }
variable "allowed_cidrs" { type = list(string) }
variable "route_table_ids" { type = list(string) }

resource "aws_lb" "postgres" {
  name               = var.name
  load_balancer_type = "network"
  internal           = true
  subnets            = var.subnet_ids
}

resource "aws_lb_target_group" "postgres" {
  name                   = var.name
  target_type            = "ip"
  protocol               = "TCP"
  port                   = 5432
  vpc_id                 = var.vpc_id
  deregistration_delay   = 30
  connection_termination = true

  # The watcher may change what carries this tag, and nothing else.
  tags = {
    "pilothouse:cluster" = var.name
  }

  # The watcher registers the targets. OpenTofu does not look at them unless it is told to (aws_lb_target_group_attachment).
}

resource "aws_lb_listener" "postgres" {
  load_balancer_arn = aws_lb.postgres.arn
  protocol          = "TCP"
  port              = 5432

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.postgres.arn
  }
}

# Once for each route table, whoever made it.
resource "aws_ec2_tag" "route_table" {
  for_each = toset(var.route_table_ids)

  resource_id = each.value
  key         = "pilothouse:cluster"
  value       = "shared"
}

resource "aws_cloudformation_stack" "cluster" {
  name = "${var.name}-pilothouse"

  # On the way up the listener comes first, on the way down it goes last.
  depends_on = [aws_lb_listener.postgres, aws_ec2_tag.route_table]

  parameters = {
    Name                = var.name
    Host                = var.host
    TargetGroupArn      = aws_lb_target_group.postgres.arn
    PeeringConnectionId = var.peering_connection_id
    PeerAccount         = var.peer_account
    PeerVpc             = var.peer_vpc
    AllowedCidrs        = join(",", var.allowed_cidrs)
    RouteTableIds       = join(",", var.route_table_ids)
  }

  template_body = jsonencode({
    Parameters = {
      Name                = { Type = "String" }
      Host                = { Type = "String" }
      TargetGroupArn      = { Type = "String" }
      PeeringConnectionId = { Type = "String" }
      PeerAccount         = { Type = "String" }
      PeerVpc             = { Type = "String" }
      AllowedCidrs        = { Type = "CommaDelimitedList" }
      RouteTableIds       = { Type = "CommaDelimitedList" }
    }
    Resources = {
      Cluster = {
        Type = "Custom::PilothouseCluster"
        Properties = {
          ServiceToken   = { "Fn::ImportValue" = "pilothouse-RegistryArn" }
          ServiceTimeout = 300
          name           = { Ref = "Name" }
          deletion       = "teardown"
          primary = {
            endpoints = [{
              name             = "postgres"
              host             = { Ref = "Host" }
              port             = 5432
              target_group_arn = { Ref = "TargetGroupArn" }
            }]
            peerings = [{
              connection_id = { Ref = "PeeringConnectionId" }
              peer_account  = { Ref = "PeerAccount" }
              peer_vpc      = { Ref = "PeerVpc" }
              allowed_cidrs = { Ref = "AllowedCidrs" }
            }]
            route_table_ids = { Ref = "RouteTableIds" }
          }
        }
      }
    }
  })
}

output "endpoint" {
  value = aws_lb.postgres.dns_name
}
